#include "fly/repo/pqxx_compat.hpp"

#include <pqxx/prepared_statement>
#include <pqxx/transaction_base>

#include "fly/repo/parameter.hpp"

namespace fly::repo::compat {

pqxx::result exec_with(pqxx::transaction_base& tx, const std::string& sql,
                       const std::vector<std::optional<std::string>>& parameters) {
  must_be_texts(sql, parameters);
#if PQXX_VERSION_MAJOR >= 7
  pqxx::params all;
  for (const auto& it : parameters)
    all.append(it);
  auto rows = tx.exec(sql, all);
#else
  std::vector<const char*> all;
  for (const auto& it : parameters)
    all.push_back(it ? it->c_str() : nullptr);
  auto rows = tx.exec_params(sql, pqxx::prepare::make_dynamic_params(all));
#endif
  if (const auto* ours = dynamic_cast<const base_transaction*>(&tx))
    ours->check_statement();
  return rows;
}

} // namespace fly::repo::compat
