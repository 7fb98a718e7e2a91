#include "fly/rpc/signature.hpp"

#include <charconv>
#include <utility>

#include "fly/actors/error.hpp"

namespace fly::rpc {

namespace {

constexpr std::size_t array_length_max = 1'000'000;

std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (auto c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3;
  }
  return hash;
}

bool in_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.';
}

/// Recursive descent over the text; its depth is bounded by signature_depth_max.
class parser {
public:
  explicit parser(std::string_view text) : text_(text) {}

  bool type(type_node& node);
  bool function(function_type& parsed);
  bool at_end() const { return at_ == text_.size(); }
  caf::error failure() const;
  bool fail(const char* wanted);

private:
  bool skip(std::string_view token);
  bool list(char end, std::vector<type_node>& inner);
  bool inner(type_node& node);
  bool composite(type_node& node);
  bool number(std::size_t& n, std::size_t max);
  std::string_view word();
  bool named(type_node& node);

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
  std::size_t objects_ = 0; // that enclose this place
  std::string wanted_;
};

bool parser::fail(const char* wanted) {
  if (wanted_.empty())
    wanted_ = wanted;
  return false;
}

caf::error parser::failure() const {
  return make_error(errc::invalid_argument, "signature: expected " + wanted_ + " at byte " +
                                                std::to_string(at_) + " of \"" +
                                                std::string{text_.substr(0, 200)} + '"');
}

bool parser::skip(std::string_view token) {
  if (text_.substr(at_, token.size()) != token)
    return false;
  at_ += token.size();
  return true;
}

bool parser::number(std::size_t& n, std::size_t max) {
  auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), n);
  if (error != std::errc{} || n > max)
    return fail("a smaller number");
  at_ = static_cast<std::size_t>(end - text_.data());
  return true;
}

std::string_view parser::word() {
  auto begin = at_;
  while (at_ < text_.size() && (in_word(text_[at_]) || text_.substr(at_, 2) == "::"))
    at_ += text_[at_] == ':' ? 2 : 1;
  return text_.substr(begin, at_ - begin);
}

bool parser::list(char end, std::vector<type_node>& inner) {
  if (skip({&end, 1}))
    return true;
  do {
    if (!type(inner.emplace_back()))
      return false;
  } while (skip(","));
  return skip({&end, 1}) || fail("a comma or the end of a list");
}

bool parser::inner(type_node& node) {
  return type(node.inner.emplace_back());
}

bool parser::named(type_node& node) {
  auto name = word();
  if (name.empty())
    return fail("a type");
  if (skip("{")) {
    node.kind = type_kind::object;
    node.name = name;
    ++objects_;
    bool done = list('}', node.inner);
    --objects_;
    return done;
  }
  static constexpr std::pair<std::string_view, std::size_t> sizes[]{
      {"8", 1}, {"16", 2}, {"32", 4}, {"64", 8}};
  if (name == "bool" || name == "str") {
    node.kind = name == "bool" ? type_kind::boolean : type_kind::text;
    return true;
  }
  for (auto [digits, size] : sizes)
    if (name.substr(1) == digits && std::string_view{"iuf"}.find(name[0]) != name.npos) {
      node.kind = name[0] == 'f' ? type_kind::real : type_kind::integer;
      node.is_signed = name[0] == 'i';
      node.size = size;
      return name[0] != 'f' || size >= 4 || fail("f32 or f64");
    }
  return fail("a known type");
}

bool parser::composite(type_node& node) {
  if (skip("?")) {
    node.kind = type_kind::optional;
    return inner(node);
  }
  if (skip("(")) {
    node.kind = type_kind::tuple;
    return list(')', node.inner);
  }
  if (skip("{")) {
    node.kind = type_kind::map;
    return inner(node) && (skip(":") || fail("a colon")) && inner(node) &&
           (skip("}") || fail("a closing brace"));
  }
  if (skip("^")) {
    node.kind = type_kind::again;
    return number(node.size, signature_depth_max) &&
           (node.size < objects_ || fail("an object around this place"));
  }
  if (!skip("["))
    return named(node);
  node.kind = type_kind::sequence;
  if (!inner(node))
    return false;
  if (skip(";")) {
    node.kind = type_kind::array;
    if (!number(node.size, array_length_max))
      return false;
  }
  return skip("]") || fail("a closing bracket");
}

bool parser::type(type_node& node) {
  if (++depth_ > signature_depth_max)
    return fail("less depth");
  bool done = composite(node);
  --depth_;
  return done;
}

bool parser::function(function_type& parsed) {
  if (!skip("(") || !list(')', parsed.arguments) || !skip("->"))
    return fail("(arguments)->result");
  if (!skip("void") && !type(parsed.result))
    return false;
  if (!skip(" "))
    return true;
  parsed.mark = word();
  return !parsed.mark.empty() || fail("a mark");
}

} // namespace

signature::signature(std::string text) : text(std::move(text)) {
  if (this->text.empty())
    return;
  fingerprint = fnv1a(this->text);
  if (fingerprint == 0)
    fingerprint = 1;
}

caf::expected<function_type> parse_signature(std::string_view text) {
  parser source{text};
  function_type parsed;
  if (text.size() > signature_bytes_max)
    source.fail("at most 16 KiB");
  else if (source.function(parsed) && (source.at_end() || source.fail("the end")))
    return parsed;
  return source.failure();
}

caf::expected<type_node> parse_type(std::string_view text) {
  parser source{text};
  type_node parsed;
  if (text.size() > signature_bytes_max)
    source.fail("at most 16 KiB");
  else if (source.type(parsed) && (source.at_end() || source.fail("the end")))
    return parsed;
  return source.failure();
}

} // namespace fly::rpc
