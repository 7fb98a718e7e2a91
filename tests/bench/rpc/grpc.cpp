// gRPC: the asynchronous server on one completion queue with one thread, requests posted in
// advance; one call at a time by the blocking stub, many in flight by the asynchronous one, each
// answer beginning the next call.
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "echo.grpc.pb.h"
#include "tests/bench/rpc/peer.hpp"

namespace {

using namespace fly::bench;
using flybench::Echo;
using flybench::Text;

/// One call on the server: waits for a request, then for its answer to be sent, then again.
class served_call {
public:
  served_call(Echo::AsyncService& service, grpc::ServerCompletionQueue& queue)
      : service_(service), queue_(queue) {
    await();
  }

  void on_event(bool ok) {
    if (!answering_ && ok) {
      answering_ = true;
      out_.mutable_text()->swap(*in_.mutable_text());
      writer_->Finish(out_, grpc::Status::OK, this);
      return;
    }
    answering_ = false;
    await();
  }

private:
  void await() {
    context_ = std::make_unique<grpc::ServerContext>();
    writer_ = std::make_unique<grpc::ServerAsyncResponseWriter<Text>>(context_.get());
    service_.RequestCall(context_.get(), &in_, writer_.get(), &queue_, &queue_, this);
  }

  Echo::AsyncService& service_;
  grpc::ServerCompletionQueue& queue_;
  std::unique_ptr<grpc::ServerContext> context_;
  std::unique_ptr<grpc::ServerAsyncResponseWriter<Text>> writer_;
  Text in_;
  Text out_;
  bool answering_ = false;
};

/// Returns what a file of the certificates' folder has.
std::string content_of(const char* name) {
  std::ifstream in{tls_folder() + "/" + name};
  return {std::istreambuf_iterator<char>{in}, {}};
}

std::shared_ptr<grpc::ServerCredentials> server_credentials() {
  if (tls_folder().empty())
    return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions options{
      GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY};
  options.pem_root_certs = content_of("ca.pem");
  options.pem_key_cert_pairs = {{content_of("node.key"), content_of("node.pem")}};
  return grpc::SslServerCredentials(options);
}

std::shared_ptr<grpc::Channel> channel_to(std::uint16_t port) {
  auto address = "127.0.0.1:" + std::to_string(port);
  if (tls_folder().empty())
    return grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride(tls_name);
  auto credentials =
      grpc::SslCredentials({content_of("ca.pem"), content_of("node.key"), content_of("node.pem")});
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

void serve(const std::function<void(std::uint16_t)>& ready) {
  Echo::AsyncService service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", server_credentials(), &port);
  builder.RegisterService(&service);
  auto queue = builder.AddCompletionQueue();
  auto server = builder.BuildAndStart();
  if (!server)
    throw std::runtime_error{"cannot listen"};
  std::vector<std::unique_ptr<served_call>> calls;
  for (int i = 0; i < 512; ++i)
    calls.push_back(std::make_unique<served_call>(service, *queue));
  ready(static_cast<std::uint16_t>(port));
  void* tag = nullptr;
  for (bool ok = false; queue->Next(&tag, &ok);)
    static_cast<served_call*>(tag)->on_event(ok);
}

class grpc_client final : public client {
public:
  explicit grpc_client(std::uint16_t port) : stub_(Echo::NewStub(channel_to(port))) {}

  void run(const work& what, stopwatch& time) override {
    Text text;
    text.set_text(std::string(what.bytes, 'x'));
    if (what.in_flight > 1)
      return run_many(what.in_flight, text, time);
    for (bool more = true; more;) {
      auto begun = fly::bench::clock::now();
      grpc::ClientContext context;
      Text answer;
      check(stub_->Call(&context, text, &answer), text, answer);
      more = time.lap(begun);
    }
  }

private:
  struct sent_call {
    fly::bench::clock::time_point begun;
    grpc::ClientContext context;
    Text answer;
    grpc::Status status;
    std::unique_ptr<grpc::ClientAsyncResponseReader<Text>> reader;
  };

  static void check(const grpc::Status& status, const Text& text, const Text& answer) {
    if (!status.ok())
      throw std::runtime_error{status.error_message()};
    if (answer.text().size() != text.text().size())
      throw std::runtime_error{"another text"};
  }

  void begin(const Text& text) {
    auto* fresh = new sent_call; // NOLINT: the queue gives it back
    fresh->begun = fly::bench::clock::now();
    fresh->reader = stub_->AsyncCall(&fresh->context, text, &queue_);
    fresh->reader->Finish(&fresh->answer, &fresh->status, fresh);
  }

  void run_many(std::size_t count, const Text& text, stopwatch& time) {
    for (std::size_t i = 0; i < count; ++i)
      begin(text);
    void* tag = nullptr;
    for (bool ok = false; count > 0 && queue_.Next(&tag, &ok);) {
      std::unique_ptr<sent_call> done{static_cast<sent_call*>(tag)};
      check(done->status, text, done->answer);
      if (time.lap(done->begun))
        begin(text);
      else
        --count;
    }
  }

  std::unique_ptr<Echo::Stub> stub_;
  grpc::CompletionQueue queue_;
};

} // namespace

int main(int argc, char** argv) {
  return peer_main(argc, argv,
                   {serve, [](std::uint16_t port) { return std::make_unique<grpc_client>(port); }});
}
