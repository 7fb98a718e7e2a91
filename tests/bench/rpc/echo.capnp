@0xb7c1d5a1e2f34a07;

interface Echo {
  call @0 (text :Data) -> (text :Data);
}
