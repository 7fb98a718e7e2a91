#include "apps/guestbook/http.hpp"

#include <chrono>
#include <thread>
#include <utility>

#include <httplib.h>

#include <nlohmann/json.hpp>

#include "apps/common/hasty_server.hpp"
#include "apps/common/json.hpp"
#include "apps/common/stop_listening.hpp"
#include "apps/guestbook/book.hpp"
#include "apps/guestbook/page.hpp"
#include "fly/actors/error.hpp"
#include "fly/cluster/address.hpp"
#include "fly/repo/session_cookie.hpp"

namespace guestbook {

namespace {

using nlohmann::json;

constexpr std::size_t body_bytes_max = 16 * 1024;
constexpr int entries_max = 50;
/// One for each connection, as long as it takes; a client that is slow to say its request keeps one
/// for `request_max`.
constexpr std::size_t threads = 32;
constexpr std::chrono::seconds request_max{2};

json to_json(const entry& x) {
  return {{"id", x.id},
          {"author", x.author},
          {"text", x.text},
          {"region", x.region},
          {"created", x.created}};
}

void answer(httplib::Response& response, const json& body, int status = 200) {
  response.status = status;
  // Text from the database may hold anything: replace what is not UTF-8 instead of failing.
  response.set_content(body.dump(-1, ' ', false, json::error_handler_t::replace),
                       "application/json");
}

int status_of(const caf::error& reason) {
  switch (fly::code_of(reason)) {
  case fly::errc::invalid_argument:
    return 400;
  case fly::errc::no_primary:
  case fly::errc::no_node_in_region:
  case fly::errc::overloaded:
  case fly::errc::database_unavailable:
    return 503;
  case fly::errc::timeout:
    return 504;
  default:
    return 500;
  }
}

void refuse(httplib::Response& response, const caf::error& reason) {
  answer(response, fly::apps::error_json(reason), status_of(reason));
}

/// Two guestbooks on one port would share its requests: httplib's default lets them.
void only_one_listens(socket_t socket) {
  int yes = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
}

/// Takes a required text field out of a request's body.
caf::expected<std::string> text_field(const json& body, const char* name) {
  auto it = body.find(name);
  if (it == body.end() || !it->is_string())
    return fly::make_error(fly::errc::invalid_argument,
                           std::string{"the body needs a text \""} + name + "\"");
  return it->get<std::string>();
}

} // namespace

class http_server::impl {
public:
  impl(const fly::cluster::node& node, const fly::repo::database& db)
      : node_(node), db_(db), cookie_(db.tokens(), {.name = "guestbook", .secure = false}) {
    server_.new_task_queue = [] { return new httplib::ThreadPool(threads); };
    server_.set_socket_options(only_one_listens);
    server_.set_payload_max_length(body_bytes_max);
    server_.Get("/", [](const auto&, auto& response) {
      response.set_content(page, "text/html; charset=utf-8");
    });
    server_.Get("/entries",
                [this](const auto& request, auto& response) { get_entries(request, response); });
    server_.Post("/entries",
                 [this](const auto& request, auto& response) { post_entry(request, response); });
    server_.Get("/status", [this](const auto&, auto& response) { get_status(response); });
    server_.Get("/readyz", [this](const auto&, auto& response) { get_ready(response); });
    server_.set_error_handler([](const auto& request, auto& response) {
      if (response.body.empty())
        answer(response, {{"error", "no such page: " + request.method + " " + request.path}},
               response.status);
    });
  }

  caf::error start(const std::string& address) {
    auto where = fly::cluster::parse_socket_address(address, 8080);
    if (!where)
      return where.error();
    if (!server_.bind_to_port(where->host.c_str(), where->port))
      return fly::make_error(fly::errc::cannot_listen,
                             "HTTP cannot listen on " + to_string(*where));
    server_.widen_backlog();
    thread_ = std::thread{[this] { server_.listen_after_bind(); }};
    return {};
  }

  void stop() { fly::apps::stop_listening(server_, thread_); }

private:
  /// Calls `f` for the user of a request, whom nothing but the cookie knows: it sees all that this
  /// user has written or read before, on whatever node. Where the local replica is late it is the
  /// primary that answers.
  template <class F>
  auto as_user(const httplib::Request& request, httplib::Response& response, F f) {
    auto [user, problem] = cookie_.read(request.get_header_value("Cookie"));
    if (problem)
      response.set_header("X-Session-Problem", fly::text_of(problem));
    fly::repo::read_report report;
    auto call = [&, &user = user] {
      return f(db_.with(
          {.session = user, .otherwise = fly::repo::otherwise::primary, .report = &report}));
    };
    auto outcome = call();
    if (!outcome && (outcome.error() == fly::errc::may_be_lost ||
                     outcome.error() == fly::errc::foreign_position)) {
      response.set_header("X-Session-Problem", fly::text_of(outcome.error()));
      user.forget(); // no server will ever be there
      outcome = call();
    }
    if (!report.member.empty())
      response.set_header("X-Read-At",
                          report.member + " " + report.region + " " + to_string(report.obtained));
    if (auto header = cookie_.write(user); !header.empty())
      response.set_header("Set-Cookie", header);
    return outcome;
  }

  void get_entries(const httplib::Request& request, httplib::Response& response) {
    auto entries =
        as_user(request, response, [](const auto& db) { return newest(db, entries_max); });
    if (!entries)
      return refuse(response, entries.error());
    auto body = json::array();
    for (const auto& it : *entries)
      body.push_back(to_json(it));
    answer(response, body);
  }

  void post_entry(const httplib::Request& request, httplib::Response& response) {
    auto body = json::parse(request.body, nullptr, false);
    if (!body.is_object())
      return refuse(response, fly::make_error(fly::errc::invalid_argument,
                                              R"(the body must be {"author": ..., "text": ...})"));
    auto author = text_field(body, "author");
    auto text = text_field(body, "text");
    if (!author || !text)
      return refuse(response, author ? text.error() : author.error());
    auto added = as_user(request, response, [&](const auto& db) {
      return add(db, node_.my_region(), *author, *text);
    });
    if (!added)
      return refuse(response, added.error());
    const auto& parts = added->timing();
    answer(response,
           {{"entry", to_json(**added)},
            {"visible", added->visible()},
            {"position", to_string(added->position())},
            {"timing",
             {{"to_primary_us", parts.to_primary.count()},
              {"in_transaction_us", parts.in_transaction.count()},
              {"until_visible_us", parts.until_visible.count()}}}},
           201);
  }

  void get_status(httplib::Response& response) {
    auto members = json::array();
    for (const auto& it : fly::rpc::report(node_.views()))
      members.push_back(fly::apps::member_json(it));
    auto primaries = json::array();
    for (const auto& it : node_.primary_group())
      primaries.push_back(it.id);
    answer(response, {{"node", node_.self().id},
                      {"region", node_.my_region()},
                      {"primary_region", node_.primary_region()}, // a guess without primaries
                      {"primaries", primaries},
                      {"members", members}});
  }

  /// Ready: a primary is known and the local database answers with the table in it.
  void get_ready(httplib::Response& response) {
    auto local = newest(db_, 1);
    auto group = node_.primary_group();
    bool ready = local && !group.empty();
    json body{{"ready", ready}, {"members", node_.members().size()}, {"primaries", group.size()}};
    if (!local)
      body["reason"] = fly::to_string(local.error());
    else if (group.empty())
      body["reason"] = "no primary is known";
    answer(response, body, ready ? 200 : 503);
  }

  const fly::cluster::node& node_;
  const fly::repo::database& db_;
  const fly::repo::session_cookie cookie_;
  fly::apps::hasty_server server_{request_max};
  std::thread thread_;
};

http_server::http_server(const fly::cluster::node& node, const fly::repo::database& db)
    : impl_(std::make_unique<impl>(node, db)) {}

http_server::~http_server() {
  stop();
}

caf::error http_server::start(const std::string& address) {
  return impl_->start(address);
}

void http_server::stop() {
  impl_->stop();
}

} // namespace guestbook
