// fly inside a CAF program: an actor of the program writes, and its thread is never blocked.
#include <cstdint>
#include <iostream>
#include <string>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>
#include <fly/fly.hpp>
#include <pqxx/pqxx>

inline constexpr fly::repo::write<std::int64_t(std::string)> add_visit{"shop.add_visit"};

caf::behavior visitors(caf::event_based_actor* self, const fly::repo::database* db) {
  return {[self, db](const std::string& who) {
    auto promise = self->make_response_promise();
    fly::rpc_and_wait(self, *db, add_visit, who)
        .then([promise](
                  fly::repo::committed<std::int64_t>& number) mutable { promise.deliver(*number); },
              [promise](caf::error& reason) mutable { promise.deliver(reason); });
    return promise;
  }};
}

int main() {
  caf::actor_system_config config; // the program's own
  fly::cluster::prepare(config);   // before the system is made
  caf::actor_system system{config};

  auto where = fly::cluster::options::from_env();
  fly::cluster::node node{system, where};
  fly::rpc::endpoint rpc{node};
  fly::repo::database db{rpc, fly::repo::options::from_env(where)};
  db.serve(add_visit, [](pqxx::transaction_base& tx, std::string who) {
    auto rows = fly::repo::exec(tx, "INSERT INTO visits (who) VALUES ($1) RETURNING id", who);
    return rows[0][0].as<std::int64_t>();
  });
  if (auto reason = node.join()) {
    std::cerr << fly::to_string(reason) << '\n';
    return 1;
  }
  if (auto made = db.execute("CREATE TABLE IF NOT EXISTS visits (id bigserial PRIMARY KEY, who "
                             "text)");
      !made) {
    std::cerr << fly::to_string(made.error()) << '\n';
    return 1;
  }

  int status = 1;
  caf::scoped_actor self{system};
  auto counter = self->spawn(visitors, &db);
  self->request(counter, std::chrono::seconds{10}, std::string{"Ada"})
      .receive(
          [&](std::int64_t number) {
            std::cout << "visit " << number << '\n';
            status = 0;
          },
          [](const caf::error& reason) { std::cerr << fly::to_string(reason) << '\n'; });
  self->send_exit(counter, caf::exit_reason::user_shutdown); // before `db` is gone
  self->wait_for(counter);
  return status;
}
