#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

namespace fly::local {

/// Returns the folder of PostgreSQL's programs, the newest /usr/lib/postgresql/*/bin. Throws
/// std::runtime_error where there is none.
std::filesystem::path postgres_programs();

/// Starts a program as the user "postgres" where we are root (PostgreSQL refuses root), with its
/// output appended to `log`. Returns its pid, our child.
pid_t spawn_postgres_program(const std::vector<std::string>& arguments,
                             const std::filesystem::path& log);

/// Runs a program like `spawn_postgres_program` and waits for it. Throws std::runtime_error with
/// its output where it fails.
void run_postgres_program(const std::vector<std::string>& arguments,
                          const std::filesystem::path& log);

/// Makes an empty folder under the temporary folder that the user "postgres" may write to.
std::filesystem::path make_postgres_folder();

/// Gives a folder and all in it to the user "postgres" where we are root.
void give_to_postgres(const std::filesystem::path& folder);

/// Starts a guardian: should this program die before `guardian_pipe` is closed by it, the guardian
/// ends every server below `folder` and removes it. Returns its pid.
pid_t spawn_guardian(const std::filesystem::path& folder, int& guardian_pipe);

/// Waits for our child `pid`.
void wait_for_child(pid_t pid);

/// Returns a port of 127.0.0.1 that was free a moment ago.
std::uint16_t free_port();

} // namespace fly::local
