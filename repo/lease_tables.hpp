#pragma once

#include <string_view>

namespace fly::repo {

/// Creates the tables and functions of the lease: a step of the schema, docs/decisions/011. The
/// functions run with the rights of their owner, and those who may call them need none to the
/// tables.
inline constexpr std::string_view lease_tables = R"(
CREATE TABLE fly.epoch (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  timeline bigint NOT NULL,
  counter bigint NOT NULL
);
CREATE TABLE fly.lease (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  holder text NOT NULL,
  incarnation bigint NOT NULL,
  expires timestamptz NOT NULL
);
INSERT INTO fly.epoch (timeline, counter) VALUES (0, 0);
INSERT INTO fly.lease (holder, incarnation, expires) VALUES ('', 0, to_timestamp(0));
CREATE FUNCTION fly.take_lease(me text, run bigint, lasts interval, OUT held boolean,
  OUT leader text, OUT left_ms bigint, OUT of_timeline bigint, OUT of_counter bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  here bigint := ('x' || substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8))::bit(32)::int8;
BEGIN
  UPDATE fly.lease SET expires = clock_timestamp() + lasts
    WHERE holder = me AND incarnation = run AND expires >= clock_timestamp()
      AND (SELECT timeline FROM fly.epoch) = here;
  held := FOUND;
  IF NOT held THEN
    UPDATE fly.lease SET holder = me, incarnation = run, expires = clock_timestamp() + lasts
      WHERE expires < clock_timestamp() OR (holder = me AND incarnation <= run);
    held := FOUND;
    IF held THEN
      UPDATE fly.epoch SET timeline = here, counter = counter + 1;
    END IF;
  END IF;
  SELECT l.holder, greatest(extract(epoch FROM l.expires - clock_timestamp()) * 1000, 0),
      e.timeline, e.counter
    INTO leader, left_ms, of_timeline, of_counter FROM fly.lease AS l, fly.epoch AS e;
END $$;
CREATE FUNCTION fly.end_lease(me text, run bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  UPDATE fly.lease SET expires = to_timestamp(0) WHERE holder = me AND incarnation = run;
$$;
CREATE FUNCTION fly.hold_epoch(of_timeline bigint, of_counter bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM FROM fly.epoch WHERE timeline = of_timeline AND counter = of_counter FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'FL001', MESSAGE = (
      SELECT format('epoch %s/%s is over, epoch %s/%s is that of %s', of_timeline, of_counter,
        e.timeline, e.counter, l.holder) FROM fly.epoch AS e, fly.lease AS l);
  END IF;
END $$;
REVOKE EXECUTE ON FUNCTION fly.take_lease, fly.end_lease, fly.hold_epoch FROM PUBLIC;
GRANT SELECT ON fly.epoch, fly.lease TO PUBLIC;
)";

} // namespace fly::repo
