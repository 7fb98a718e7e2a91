#include "fly/cluster/tls_buffers.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

#include "fly/actors/copy_bytes.hpp"

namespace fly::cluster {

namespace {

struct method_end {
  void operator()(BIO_METHOD* method) const noexcept { BIO_meth_free(method); }
};

tls_buffers& buffers_of(BIO* bio) {
  return *static_cast<tls_buffers*>(BIO_get_data(bio));
}

int read(BIO* bio, char* to, int size) {
  BIO_clear_retry_flags(bio);
  auto& in = buffers_of(bio).in;
  if (in.empty()) {
    BIO_set_retry_read(bio);
    return -1;
  }
  auto part = in.first(std::min(in.size(), static_cast<std::size_t>(std::max(size, 0))));
  actors::for_pieces(reinterpret_cast<const char*>(part.data()), part.size(),
                     [&to](const char* first, std::size_t count) {
                       std::memcpy(to, first, count);
                       to += count;
                     });
  in = in.subspan(part.size());
  return static_cast<int>(part.size());
}

int write(BIO* bio, const char* from, int size) {
  BIO_clear_retry_flags(bio);
  actors::append_bytes(buffers_of(bio).out, from, static_cast<std::size_t>(std::max(size, 0)));
  return size;
}

long control(BIO*, int what, long, void*) {
  return what == BIO_CTRL_FLUSH ? 1 : 0;
}

/// What all our BIOs do; made once, and never changed.
const BIO_METHOD* method() {
  static const auto made = [] {
    std::unique_ptr<BIO_METHOD, method_end> result{
        BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "fly")};
    if (result) {
      BIO_meth_set_read(result.get(), read);
      BIO_meth_set_write(result.get(), write);
      BIO_meth_set_ctrl(result.get(), control);
    }
    return result;
  }();
  return made.get();
}

} // namespace

BIO* make_bio(tls_buffers& buffers) {
  auto* result = method() == nullptr ? nullptr : BIO_new(method());
  if (result == nullptr)
    return nullptr;
  BIO_set_data(result, &buffers);
  BIO_set_init(result, 1);
  return result;
}

} // namespace fly::cluster
