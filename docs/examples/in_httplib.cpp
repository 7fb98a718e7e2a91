// in_httplib PORT: fly inside a cpp-httplib service. GET reads here, POST writes on the primary.
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>

#include <fly/fly.hpp>
#include <httplib.h>
#include <pqxx/pqxx>

inline constexpr fly::repo::write<std::int64_t(std::string)> add_note{"notes.add"};

/// What a client is told: whether it may simply try again.
void answer(httplib::Response& response, const caf::error& reason) {
  bool safe = fly::effect_of(reason) == fly::effect::nothing_ran;
  response.status = safe ? 503 : 500;
  if (safe)
    response.set_header("Retry-After", "1");
  response.set_content(fly::to_string(reason) + "\n", "text/plain");
}

int main(int argc, char** argv) {
  int port = argc > 1 ? std::atoi(argv[1]) : 8080;
  auto where = fly::cluster::options::from_env();
  fly::cluster::node node{where};
  fly::rpc::endpoint rpc{node};
  fly::repo::database db{rpc, fly::repo::options::from_env(where)};
  db.serve(add_note, [](pqxx::transaction_base& tx, std::string text) {
    auto rows = fly::repo::exec(tx, "INSERT INTO notes (text) VALUES ($1) RETURNING id", text);
    return rows[0][0].as<std::int64_t>();
  });
  if (auto reason = node.join()) {
    std::cerr << fly::to_string(reason) << '\n';
    return 1;
  }
  if (!db.execute("CREATE TABLE IF NOT EXISTS notes (id bigserial PRIMARY KEY, text text)"))
    return 1;

  httplib::Server http; // each request has a thread of its own, so that a handler may block
  http.Get("/notes", [&](const httplib::Request&, httplib::Response& response) {
    auto text = db.read([](pqxx::transaction_base& tx) {
      return tx
          .exec("SELECT coalesce(string_agg(text || E'\\n', '' ORDER BY id), '') FROM notes")[0][0]
          .as<std::string>();
    });
    if (text)
      response.set_content(*text, "text/plain");
    else
      answer(response, text.error());
  });
  http.Post("/notes", [&](const httplib::Request& request, httplib::Response& response) {
    auto added =
        fly::rpc_and_wait(db.with({.timeout = std::chrono::seconds{3}}), add_note, request.body);
    if (!added)
      return answer(response, added.error());
    response.status = added->visible() ? 201 : 202; // committed in both cases
    response.set_content(std::to_string(**added) + "\n", "text/plain");
  });
  http.Post("/stop", [&](const httplib::Request&, httplib::Response&) { http.stop(); });
  return http.listen("127.0.0.1", port) ? 0 : 1;
}
