#include "fly/rpc/guarded_call.hpp"

#include <cstdlib>
#include <exception>
#include <memory>
#include <typeinfo>
#include <utility>

#include <cxxabi.h>

#include "fly/actors/error.hpp"
#include "fly/actors/must.hpp"
#include "fly/actors/what_of.hpp"
#include "fly/rpc/current_call.hpp"
#include "fly/rpc/registry.hpp"
#include "fly/rpc/returned.hpp"

namespace fly::rpc {

namespace {

std::string readable(const std::type_info& type) {
  int status = 0;
  std::unique_ptr<char, void (*)(void*)> name{
      abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), std::free};
  return status == 0 ? name.get() : type.name();
}

caf::error function_failed(const std::string& name, const std::string& exception,
                           const std::string& what) {
  return make_error(errc::function_failed, name + " threw " + exception + ": " + what,
                    {{"exception", exception}, {"what", what}});
}

/// Returns an error that can travel: those of other categories keep their text only.
caf::error portable(const std::string& name, const caf::error& reason) {
  if (!reason)
    return make_error(errc::function_failed, name + " returned an error without a code");
  if (reason.category() != make_error(errc::timeout).category())
    return make_error(errc::function_failed, name + " returned " + caf::to_string(reason));
  auto details = details_of(reason);
  if (details.erase(not_served_detail) == 0)
    return reason;
  return make_error(code_of(reason), text_of(reason), details); // said of a call within
}

} // namespace

caf::expected<bytes> call_guarded(const std::string& name, const served_function& function,
                                  const call_context& context, std::span<const char> arguments) {
  call_scope scope{context};
  try {
    auto outcome = function.handler(context, arguments);
    return outcome ? std::move(outcome) : portable(name, outcome.error());
  } catch (const failure& thrown) { // as if it had been returned
    return portable(name, as_returned(thrown.reason()));
  } catch (const caf::error& thrown) {
    return portable(name, as_returned(thrown));
  } catch (const std::exception& thrown) {
    return function_failed(name, readable(typeid(thrown)), actors::what_of(thrown));
  } catch (...) {
    const auto* type = abi::__cxa_current_exception_type();
    return function_failed(name, type != nullptr ? readable(*type) : "something",
                           "not a std::exception");
  }
}

} // namespace fly::rpc
