#pragma once

#include <chrono>
#include <thread>

namespace fly::apps {

/// Ends a server of cpp-httplib whose `listen_after_bind` runs in `thread`, and joins that. A
/// server that is about to run loses a `stop` (0.11 has nothing to wait with), so it is waited for,
/// for a second at most. Does nothing where the thread has ended.
template <class Server>
void stop_listening(Server& server, std::thread& thread) {
  if (!thread.joinable())
    return;
  for (int i = 0; i < 1000 && !server.is_running(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  server.stop();
  thread.join();
}

} // namespace fly::apps
