#include "apps/flycluster/local_help.hpp"

namespace fly::apps {

namespace {

constexpr const char* usage =
    R"(flycluster local runs your program in many regions on this machine, as it would run on Fly: a
throw-away PostgreSQL primary with streaming replicas, DNS, and one process a region.

  flycluster local up [options] -- COMMAND ARGS...
      starts it all, says what runs where, and ends it all at Ctrl-C (or --detach)
  flycluster local status [--name NAME | --dir DIR] [--json]
      what runs where, and which faults last; exit code 0 if all of it runs
  flycluster local down [--name NAME | --dir DIR]
      ends it and leaves nothing behind
  flycluster local fault WHAT ... [--for MS] [--record FILE]
      hurts it: kills, freezes, cuts off, delays, promotes; flycluster local fault --help tells more
  flycluster local nemesis [--seconds N] [--seed S] [--only KIND,...] [--record FILE]
      does such faults one after the other, chosen from a seed, and heals all at the end; flycluster
      local nemesis --help tells more

Try it with the guestbook, far regions 80 ms away:
  flycluster local up --delay 80 -- build/apps/guestbook --http '{address}:8080'
  curl -d '{"author":"me","text":"hi"}' -H 'Content-Type: application/json' \
    http://127.0.0.3:8080/entries

COMMAND is started once in each region, in the current folder. In its arguments {address} becomes
the region's own loopback address and {region} its name. Its environment is yours, and as on Fly:
FLY_APP_NAME, FLY_REGION, PRIMARY_REGION, FLY_MACHINE_ID, FLY_PRIVATE_IP (to listen on), FLY_PORT,
FLY_ADVERTISE (where the others find it), FLY_SECRET, FLY_DNS_SERVER, DATABASE_URL (the region's own
database), with --tls FLY_TLS_CERT, FLY_TLS_KEY and FLY_TLS_CA; FLY_LOCAL_ADDRESS is where to listen
for HTTP. DIR/REGION.env has the same for your shell, DIR/REGION.log what the program prints.

Exit codes: 0 done, 1 it failed or is not up, 2 a mistake in the command.

)";

constexpr const char* fault_usage =
    R"(flycluster local fault hurts what `flycluster local up` runs, and makes it whole again.

  flycluster local fault kill node|database REGION   (or: kill dns)
      ends it at once, as a crash does, until `start`
  flycluster local fault start node|database REGION
  flycluster local fault restart node|database REGION
      ends it in order, as a deploy does, and starts it again
  flycluster local fault freeze node|database REGION
      stops all its processes, which stay connected and silent, until `thaw`
  flycluster local fault thaw node|database REGION
  flycluster local fault cut REGION [--one-way in|out]
      lets nothing pass between the region's node or database and those of other regions, or
      nothing come in, or nothing go out; connections stay, and what is sent waits
  flycluster local fault delay REGION MS
      makes it that far away from all others, each way
  flycluster local fault promote REGION
      makes the region's replica the primary; the old primary stays writable, and the other replicas
      follow the new one
  flycluster local fault rebuild [REGION]
      makes the region's database anew as a replica of the primary (pg_basebackup); without REGION
      each one that does not follow it: old primaries, and replicas that were further than it was
  flycluster local fault heal [REGION]
      ends all that lasts: kills, freezes, cuts and delays, of the region or of all

What lasts does so until it is ended by such a command, or for --for milliseconds; then the command
returns at its end, and a signal ends it early. The node of a region is its process of your program.

Not cut and not delayed: a node and its own region's database, DNS, and what your program says to
another region by other ways than fly's.

--record FILE adds it to a history, for flycluster check; --json prints the same lines. Try it:
  flycluster local fault cut lax --for 3000 --record history/faults.jsonl

Exit codes: 0 done, 1 it cannot be done or nothing is up, 2 a mistake in the command.

)";

constexpr const char* nemesis_usage =
    R"(flycluster local nemesis hurts what `flycluster local up` runs, one fault after the other;
meanwhile your program is used, and flycluster check judges what its users saw.

  flycluster local nemesis --seconds 60 --seed 7 --record history/faults.jsonl

It does every kind of fault once, in an order of its own, then again in another one, until --seconds
have passed; about 35 s for all of them:
  kill-node, restart-node, freeze-node          the process of a region
  kill-database, restart-database, freeze-database
  cut-both-ways, cut-one-way, delay             a region, from and to all others
  freeze-dns
  promote       the primary is cut off, a replica promoted, the old one seen again, then rebuilt
What is done depends on the seed, the regions and --only alone. The last fault is ended and all is
whole when it returns, also after a signal. On standard output: each fault, or with --json the lines
of a history, as --record adds them to a file. A node of your program that ends by itself ends the
run with exit code 1.

Exit codes: 0 done, 1 a fault could not be done or ended, or nothing is up, 2 a mistake in the
command.

)";

} // namespace

const char* local_help(const std::string& action) {
  if (action == "fault")
    return fault_usage;
  return action == "nemesis" ? nemesis_usage : usage;
}

} // namespace fly::apps
