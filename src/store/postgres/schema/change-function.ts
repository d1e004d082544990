/**
 * The functions of the sixth step. Whatever a rule decides, `change_1` carries
 * out; it says nothing of what may be done, `src/rules` does. And whoever reads
 * the log now finds out as well when the store was replaced, not only who writes.
 */
export const functionsStep6 = `
  -- Makes sure that the caller's release knows what is in the log, and that the store is the one the connection
  -- was made to; sees what its statement sees.
  CREATE OR REPLACE FUNCTION release_known_1() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
  DECLARE
    head record;
  BEGIN
    SELECT min_release, epoch INTO head FROM log_head;
    IF coalesce(nullif(current_setting('parlance.release', true), '')::int, 0) < head.min_release THEN
      RAISE EXCEPTION 'a later release writes to the store' USING ERRCODE = 'PL002';
    END IF;
    IF nullif(current_setting('parlance.epoch', true), '') <> head.epoch THEN
      RAISE EXCEPTION 'the store was replaced' USING ERRCODE = 'PL001';
    END IF;
    RETURN true;
  END $$;

  -- The bytes of a number as a varint.
  CREATE FUNCTION varint_2(value bigint) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
  DECLARE
    rest bigint := value;
    bytes bytea := '';
  BEGIN
    WHILE rest > 127 LOOP
      bytes := bytes || set_byte('\\x00'::bytea, 0, ((rest & 127) | 128)::int);
      rest := rest >> 7;
    END LOOP;
    RETURN bytes || set_byte('\\x00'::bytea, 0, rest::int);
  END $$;

  -- A field that holds a number, and one that holds a time; nothing for the tag 0. Tags take one byte.
  CREATE FUNCTION number_field_1(tag bigint, value bigint) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN tag > 0 THEN varint_2(tag) || varint_2(value) ELSE '' END
  $$;
  CREATE FUNCTION time_field_1(tag bigint, ms bigint) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
  DECLARE
    bytes bytea;
  BEGIN
    IF tag = 0 THEN RETURN ''; END IF;
    bytes := CASE WHEN ms >= 1000 THEN '\\x08'::bytea || varint_2(ms / 1000) ELSE '' END
      || CASE WHEN ms % 1000 > 0 THEN '\\x10'::bytea || varint_2(ms % 1000 * 1000000) ELSE '' END;
    RETURN varint_2(tag) || varint_2(length(bytes)) || bytes;
  END $$;

  -- Whether the facts that a rule looked at are still true. A role of null stands for a user who is no member,
  -- a last stay of null for one who never was.
  CREATE FUNCTION facts_stand_1(of_conversation bigint, facts json) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM groups g, json_to_record(facts -> 'group') AS f (seq bigint, owner_id text, member_count bigint)
          WHERE g.conversation = of_conversation AND g.disband_time_ms IS NULL
            AND g.seq = f.seq AND g.owner_id = f.owner_id AND g.member_count = f.member_count
      ) AND NOT EXISTS (
        SELECT FROM json_to_recordset(facts -> 'members')
            AS f (user_id text, role bigint, join_seq bigint, muted_until_ms bigint)
          LEFT JOIN members m ON m.conversation = of_conversation AND m.user_id = f.user_id
          WHERE (m.role::bigint, m.join_seq, m.muted_until_ms) IS DISTINCT FROM (f.role, f.join_seq, f.muted_until_ms)
      ) AND NOT EXISTS (
        SELECT FROM json_to_recordset(facts -> 'last_stays') AS f (user_id text, to_seq bigint)
          WHERE f.to_seq IS DISTINCT FROM (
            SELECT max(p.to_seq) FROM past_stays p WHERE p.user_id = f.user_id AND p.conversation = of_conversation
          )
      )
  $$;

  -- Carries out what a rule decided, if the facts it decided by are still true; answers nothing when they are
  -- not. Events are numbered from 1; in rows these numbers stand for seqs. Behind bodies come the seq and the
  -- time of the event, in fields with the tags given. Whether facts are given says whether the conversation
  -- is there already.
  CREATE FUNCTION change_1(
    expected_epoch text, of_conversation_id text, facts json,
    sender_ids text[], kinds bigint[], bodies bytea[], seq_tags bigint[], time_tags bigint[], changed json,
    OUT base_position bigint, OUT base_seq bigint, OUT time_ms bigint
  ) LANGUAGE plpgsql AS $$
  DECLARE
    conversation_key bigint;
    added bigint := cardinality(kinds);
    disbanded_by bigint := (changed ->> 'disbanded_by')::bigint;
    touched text[];
  BEGIN
    PERFORM check_epoch_1(expected_epoch);
    IF facts IS NULL THEN
      INSERT INTO conversations (conversation_id) VALUES (of_conversation_id) ON CONFLICT DO NOTHING
        RETURNING key, last_seq INTO conversation_key, base_seq;
      IF conversation_key IS NULL THEN RETURN; END IF;
    ELSE
      SELECT key, last_seq INTO conversation_key, base_seq FROM conversations
        WHERE conversation_id = of_conversation_id FOR NO KEY UPDATE;
      IF NOT facts_stand_1(conversation_key, facts) THEN
        base_seq := NULL;
        RETURN;
      END IF;
    END IF;

    -- Before the end of the log, like those who raise how far members have read.
    SELECT array_agg(r.user_id) INTO touched FROM (
      SELECT user_id FROM json_to_recordset(changed -> 'updated') AS u (user_id text)
      UNION ALL SELECT user_id FROM json_to_recordset(changed -> 'ended') AS u (user_id text)
    ) r;
    PERFORM FROM members m
      WHERE m.conversation = conversation_key AND (disbanded_by IS NOT NULL OR m.user_id = ANY (touched))
      ORDER BY m.user_id FOR UPDATE;
    SELECT * INTO base_position, time_ms FROM take_positions_1(expected_epoch, added);

    INSERT INTO events (position, conversation, seq, accept_time_ms, kind, sender_id, body)
      SELECT base_position + e.n, conversation_key, base_seq + e.n, time_ms, e.kind, e.sender_id,
        e.body || number_field_1(e.seq_tag, base_seq + e.n) || time_field_1(e.time_tag, time_ms)
      FROM unnest(sender_ids, kinds, bodies, seq_tags, time_tags) WITH ORDINALITY
        AS e (sender_id, kind, body, seq_tag, time_tag, n)
      ORDER BY e.n;
    UPDATE conversations SET last_seq = base_seq + added, last_position = base_position + added
      WHERE key = conversation_key;

    IF facts IS NULL THEN
      INSERT INTO groups (conversation, group_id, name, join_policy, history_for_new_members, muted, member_limit,
          attributes, owner_id, member_count, create_time_ms, update_time_ms, updater_id, seq, change_seq, other_settings)
        SELECT conversation_key, g.group_id, decode(g.name, 'hex'), g.join_policy, g.history_for_new_members, g.muted,
          g.member_limit, g.attributes, g.owner_id, g.member_count, g.create_time_ms, g.update_time_ms, g.updater_id,
          base_seq + g.settings_event, base_seq + added, decode(g.other_settings, 'hex')
        FROM json_to_record(changed -> 'group') AS g (group_id text, name text, join_policy smallint,
          history_for_new_members boolean, muted boolean, member_limit bigint, attributes text, owner_id text,
          member_count bigint, create_time_ms bigint, update_time_ms bigint, updater_id text, settings_event bigint, other_settings text);
    ELSE
      UPDATE groups SET name = decode(g.name, 'hex'), join_policy = g.join_policy,
          history_for_new_members = g.history_for_new_members, muted = g.muted, member_limit = g.member_limit,
          attributes = g.attributes, owner_id = g.owner_id, member_count = g.member_count,
          update_time_ms = g.update_time_ms, updater_id = g.updater_id,
          seq = coalesce(base_seq + g.settings_event, groups.seq), change_seq = base_seq + added,
          disband_time_ms = CASE WHEN disbanded_by IS NOT NULL THEN change_1.time_ms END,
          other_settings = decode(g.other_settings, 'hex')
        FROM json_to_record(changed -> 'group') AS g (name text, join_policy smallint,
          history_for_new_members boolean, muted boolean, member_limit bigint, attributes text, owner_id text,
          member_count bigint, update_time_ms bigint, updater_id text, settings_event bigint, other_settings text)
        WHERE groups.conversation = conversation_key;
    END IF;

    IF disbanded_by IS NOT NULL THEN
      WITH gone AS (DELETE FROM members WHERE conversation = conversation_key RETURNING user_id, join_seq)
      INSERT INTO past_stays (user_id, conversation, from_seq, to_seq, to_position)
        SELECT user_id, conversation_key, join_seq, base_seq + disbanded_by, base_position + disbanded_by FROM gone;
    END IF;
    WITH gone AS (
      DELETE FROM members m USING json_to_recordset(changed -> 'ended') AS u (user_id text, last_event bigint)
        WHERE m.user_id = u.user_id AND m.conversation = conversation_key
        RETURNING m.user_id, m.join_seq, u.last_event
    )
    INSERT INTO past_stays (user_id, conversation, from_seq, to_seq, to_position)
      SELECT user_id, conversation_key, join_seq, base_seq + last_event, base_position + last_event FROM gone;
    UPDATE members m SET role = u.role, muted_until_ms = u.muted_until_ms
      FROM json_to_recordset(changed -> 'updated') AS u (user_id text, role smallint, muted_until_ms bigint)
      WHERE m.user_id = u.user_id AND m.conversation = conversation_key;
    -- What was said before they came counts as read, also where they may read it.
    INSERT INTO members (user_id, conversation, role, join_time_ms, join_seq, visible_from_seq, read_seq, muted_until_ms)
      SELECT u.user_id, conversation_key, u.role, u.join_time_ms, base_seq + u.join_event,
        CASE WHEN u.sees_history THEN 1 ELSE base_seq + u.join_event END, base_seq + u.join_event - 1, u.muted_until_ms
      FROM json_to_recordset(changed -> 'joined') AS u (user_id text, role smallint, join_time_ms bigint,
        join_event bigint, sees_history boolean, muted_until_ms bigint);
  END $$;
`;
