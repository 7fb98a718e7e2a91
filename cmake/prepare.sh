# Sourced by tests/run and apps/demo: installs what is missing, configures and builds. Debian 12 and 13, root for apt.
# Sets nothing but functions; `root` must hold the source folder.

fly_packages=(
  g++ make cmake ninja-build ccache pkg-config ca-certificates
  libcaf-dev libpqxx-dev libboost-program-options-dev libc-ares-dev libssl-dev
  libcpp-httplib-dev nlohmann-json3-dev prometheus-cpp-dev
  doctest-dev clang-format postgresql postgresql-client pgbouncer dnsmasq-base curl procps iproute2
)

# Prints to stderr, so that a program's own output stays clean.
say() { printf '%s\n' "$*" >&2; }

# fly_install PACKAGE...: installs those that are missing, and nothing where none is.
fly_install() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep '^install ok installed' >/dev/null ||
      missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  if [ "$(id -u)" != 0 ]; then
    say "missing packages: ${missing[*]}"
    say "run this as root once, or: apt-get install ${missing[*]}"
    return 1
  fi
  say "installing ${missing[*]}"
  # The package's own cluster is not needed: every server of ours is a throw-away one.
  mkdir -p /etc/postgresql-common/createcluster.d
  [ -e /etc/postgresql-common/createcluster.d/fly.conf ] ||
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/fly.conf
  apt-get update -qq >&2 &&
    DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends \
      "${missing[@]}" </dev/null >/tmp/fly-apt.$$.log 2>&1 || {
    tail -20 /tmp/fly-apt.$$.log >&2
    rm -f /tmp/fly-apt.$$.log
    say "apt-get could not install: ${missing[*]}"
    return 1
  }
  rm -f /tmp/fly-apt.$$.log
}

# fly_configure FOLDER [CMAKE ARGUMENT...]: quick when nothing has changed. Assertions stay on: these are our own runs.
fly_configure() {
  local folder=$1 launcher=()
  shift
  command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  cmake -S "$root" -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O2 -g1" -DFLY_WARNINGS_AS_ERRORS=ON \
    "${launcher[@]}" "$@" >"$folder.log" 2>&1 || {
    tail -30 "$folder.log" >&2
    say "cmake failed; all of it is in $folder.log"
    return 1
  }
  rm -f "$folder.log"
}

# fly_build FOLDER TARGET...: prints only what failed.
fly_build() {
  local folder=$1
  shift
  CCACHE_NOHASHDIR=1 cmake --build "$folder" --target "$@" >"$folder/build.log" 2>&1 || {
    grep -E 'error|warning|FAILED' -A 5 "$folder/build.log" | head -60 >&2
    say "the build failed; all of it is in $folder/build.log"
    return 1
  }
}
