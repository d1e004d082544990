/**
 * The functions of the first step of the schema. What writes to the log is one
 * statement: the server finishes it by itself, so a process that freezes or
 * dies in the middle never holds a lock.
 *
 * Their names end in a number. A release that needs another function adds it
 * under the next one, because earlier releases may run at the same time.
 *
 * Rows are locked in one order: conversations by key, members by user and
 * conversation, the end of the log. So nobody waits in a circle.
 *
 * Each statement of a function sees what was committed before it began. So what
 * is read after a lock was taken is as true as the lock is long.
 */
export const functionsStep1 = `
  CREATE FUNCTION now_ms() RETURNS bigint LANGUAGE sql VOLATILE
    AS $$ SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;

  -- Makes sure that the store is the one its user knows.
  CREATE FUNCTION check_epoch_1(expected text) RETURNS void LANGUAGE plpgsql AS $$
  BEGIN
    IF expected IS DISTINCT FROM (SELECT epoch FROM log_head) THEN
      RAISE EXCEPTION 'the store was replaced' USING ERRCODE = 'PL001';
    END IF;
  END $$;

  -- Takes the end of the log until the commit and makes room for events. Whatever else may wait or take
  -- long comes before.
  CREATE FUNCTION take_positions_1(expected_epoch text, count bigint, OUT base bigint, OUT time_ms bigint)
  LANGUAGE plpgsql AS $$
  DECLARE
    found_epoch text;
  BEGIN
    UPDATE log_head SET last_position = last_position + count, last_time_ms = greatest(last_time_ms, now_ms())
      RETURNING last_position - count, last_time_ms, epoch INTO base, time_ms, found_epoch;
    IF expected_epoch IS DISTINCT FROM found_epoch THEN
      RAISE EXCEPTION 'the store was replaced' USING ERRCODE = 'PL001';
    END IF;
  END $$;

  -- Appends messages, and raises how far users have read. No two of the messages have the same sender and
  -- client message id. A recipient of '' stands for a group. Each mark comes after as many of the messages
  -- as mark_offsets says.
  --
  -- Answers three numbers for each message: seq, position, time where it stands, for the codes 0 (appended)
  -- and 1 (it was there already). Other codes refuse it; the first number says more.
  CREATE FUNCTION append_1(
    expected_epoch text,
    conversation_ids text[], sender_ids text[], recipient_ids text[], client_message_ids bytea[],
    reply_positions bigint[], reply_times bigint[], bodies bytea[],
    mark_user_ids text[], mark_conversation_ids text[], mark_seqs bigint[], mark_offsets bigint[],
    OUT codes bigint[], OUT seqs bigint[], OUT positions bigint[], OUT times bigint[],
    OUT mark_codes bigint[], OUT mark_details bigint[]
  ) LANGUAGE plpgsql AS $$
  DECLARE
    keys bigint[];
    begun bigint[];
    ranks bigint[];
    added bigint;
    base bigint;
    accepted_ms bigint;
    started_ms bigint;
  BEGIN
    PERFORM check_epoch_1(expected_epoch);

    IF cardinality(conversation_ids) > 0 THEN
      SELECT array_agg(c.key ORDER BY d.n) INTO keys
        FROM unnest(conversation_ids) WITH ORDINALITY AS d (id, n)
        LEFT JOIN conversations c ON c.conversation_id = d.id;

      -- In the order of ids, and before any conversation is locked, so that nobody waits in a circle.
      IF EXISTS (SELECT FROM unnest(keys, recipient_ids) AS d (key, recipient_id)
          WHERE d.key IS NULL AND d.recipient_id <> '') THEN
        WITH made AS (
          INSERT INTO conversations (conversation_id)
            SELECT DISTINCT d.id
            FROM unnest(conversation_ids, keys, recipient_ids) AS d (id, key, recipient_id)
            WHERE d.key IS NULL AND d.recipient_id <> ''
            ORDER BY d.id
            ON CONFLICT DO NOTHING
            RETURNING key
        ) SELECT array_agg(key) INTO begun FROM made;
        SELECT array_agg(c.key ORDER BY d.n) INTO keys
          FROM unnest(conversation_ids) WITH ORDINALITY AS d (id, n)
          LEFT JOIN conversations c ON c.conversation_id = d.id;
      END IF;

      PERFORM FROM conversations WHERE key = ANY (keys) ORDER BY key FOR NO KEY UPDATE;
      started_ms := now_ms();

      SELECT array_agg(r.code::bigint ORDER BY r.n),
          array_agg(CASE r.code
            WHEN 0 THEN r.last_seq + r.nth_of_conversation
            WHEN 1 THEN r.earlier_seq
            ELSE r.detail END ORDER BY r.n),
          array_agg(r.earlier_position ORDER BY r.n),
          array_agg(r.earlier_time_ms ORDER BY r.n),
          array_agg(r.nth ORDER BY r.n),
          count(*) FILTER (WHERE r.code = 0)
        INTO codes, seqs, positions, times, ranks, added
        FROM (
          SELECT q.*,
            count(*) FILTER (WHERE q.code = 0) OVER (ORDER BY q.n) AS nth,
            count(*) FILTER (WHERE q.code = 0) OVER (PARTITION BY q.key ORDER BY q.n) AS nth_of_conversation
          FROM (
            SELECT d.n, d.key, c.last_seq,
              e.seq AS earlier_seq, e.position AS earlier_position, e.accept_time_ms AS earlier_time_ms,
              CASE
                WHEN m.role IS NULL THEN g.join_policy
                ELSE m.muted_until_ms - started_ms
              END AS detail,
              CASE
                WHEN e.position IS NOT NULL THEN
                  CASE WHEN e.conversation = d.key AND e.body = d.body THEN 1 ELSE 2 END
                WHEN d.recipient_id = '' AND g.conversation IS NULL THEN 3
                WHEN d.recipient_id = '' AND m.role IS NULL THEN 4
                WHEN m.role = 4 THEN 5
                WHEN m.muted_until_ms > started_ms THEN 6
                WHEN g.muted AND m.role = 3 THEN 7
                WHEN d.reply_position > 0 AND NOT coalesce(t.conversation = d.key AND t.kind = 1
                  AND t.accept_time_ms = d.reply_time AND t.seq >= coalesce(m.visible_from_seq, 1), false) THEN 8
                ELSE 0
              END AS code
            FROM unnest(keys, sender_ids, recipient_ids, client_message_ids, reply_positions, reply_times, bodies)
              WITH ORDINALITY AS d (key, sender_id, recipient_id, client_message_id, reply_position, reply_time, body, n)
            LEFT JOIN conversations c ON c.key = d.key
            -- A key that is null finds nothing without a look at the index.
            LEFT JOIN groups g ON g.conversation = CASE WHEN d.recipient_id = '' THEN d.key END
              AND g.disband_time_ms IS NULL
            LEFT JOIN members m ON m.conversation = CASE WHEN d.recipient_id = '' THEN d.key END
              AND m.user_id = d.sender_id
            LEFT JOIN events t ON t.position = nullif(d.reply_position, 0)
            LEFT JOIN events e ON e.client_message_id = nullif(d.client_message_id, '') AND e.sender_id = d.sender_id
          ) q
        ) r;

      IF begun IS NOT NULL THEN
        -- What would begin with a message that was refused does not begin.
        DELETE FROM conversations WHERE key = ANY (begun)
          AND key NOT IN (SELECT d.key FROM unnest(keys, codes) AS d (key, code) WHERE d.code = 0);
      END IF;
      INSERT INTO members (user_id, conversation, role, join_time_ms, join_seq, visible_from_seq, read_seq, muted_until_ms)
        SELECT unnest(ARRAY[d.sender_id, d.recipient_id]), d.key, 3, started_ms, 1, 1, 0, 0
        FROM unnest(keys, sender_ids, recipient_ids, codes, seqs) AS d (key, sender_id, recipient_id, code, seq)
        WHERE d.code = 0 AND d.seq = 1 AND d.recipient_id <> ''
        ON CONFLICT DO NOTHING;
    END IF;

    IF cardinality(mark_user_ids) > 0 THEN
      PERFORM FROM members m
        WHERE (m.user_id, m.conversation) IN (
          SELECT k.user_id, c.key FROM unnest(mark_user_ids, mark_conversation_ids) AS k (user_id, id)
          JOIN conversations c ON c.conversation_id = k.id
        )
        ORDER BY m.user_id, m.conversation FOR NO KEY UPDATE;

      WITH asked AS MATERIALIZED (
        SELECT k.n, k.user_id, k.seq, c.key, m.read_seq,
          -- The last seq as of this mark. Only a mark that is above the last one committed needs to know
          -- what this very call appends.
          CASE WHEN k.seq <= c.last_seq THEN c.last_seq ELSE greatest(c.last_seq, (
            SELECT max(d.seq) FROM unnest(keys, codes, seqs) WITH ORDINALITY AS d (key, code, seq, n)
            WHERE d.key = c.key AND d.code = 0 AND d.n <= k.after
          )) END AS last_seq
        FROM unnest(mark_user_ids, mark_conversation_ids, mark_seqs, mark_offsets)
          WITH ORDINALITY AS k (user_id, id, seq, after, n)
        LEFT JOIN conversations c ON c.conversation_id = k.id
        LEFT JOIN members m ON m.user_id = k.user_id AND m.conversation = c.key
      ), judged AS MATERIALIZED (
        SELECT asked.*, CASE
            WHEN read_seq IS NULL OR coalesce(last_seq, 0) = 0 THEN 2
            WHEN seq > last_seq THEN 3
            WHEN seq > read_seq AND seq > coalesce(max(CASE WHEN seq <= last_seq THEN seq END) OVER (
              PARTITION BY user_id, key ORDER BY n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) THEN 1
            ELSE 0
          END AS code
        FROM asked
      ), raised AS (
        UPDATE members m SET read_seq = j.seq
          FROM (SELECT user_id, key, max(seq) AS seq FROM judged WHERE code = 1 GROUP BY user_id, key) j
          WHERE m.user_id = j.user_id AND m.conversation = j.key
      )
      SELECT array_agg(code::bigint ORDER BY n), array_agg(last_seq ORDER BY n) INTO mark_codes, mark_details FROM judged;
    END IF;

    IF added > 0 THEN
      SELECT * INTO base, accepted_ms FROM take_positions_1(expected_epoch, added);
      INSERT INTO events (position, conversation, seq, accept_time_ms, kind, sender_id, client_message_id, body)
        SELECT base + d.nth, d.key, d.seq, accepted_ms, 1, d.sender_id, nullif(d.client_message_id, ''), d.body
        FROM unnest(ranks, keys, seqs, codes, sender_ids, client_message_ids, bodies)
          AS d (nth, key, seq, code, sender_id, client_message_id, body)
        WHERE d.code = 0;
      UPDATE conversations c SET last_seq = h.seq, last_position = base + h.nth
        FROM (
          SELECT d.key, max(d.seq) AS seq, max(d.nth) AS nth
          FROM unnest(ranks, keys, seqs, codes) AS d (nth, key, seq, code) WHERE d.code = 0 GROUP BY d.key
        ) h
        WHERE c.key = h.key;
      SELECT
          array_agg(CASE d.code WHEN 0 THEN base + d.nth ELSE d.earlier END ORDER BY d.n),
          array_agg(CASE d.code WHEN 0 THEN accepted_ms ELSE d.earlier_ms END ORDER BY d.n)
        INTO positions, times
        FROM unnest(ranks, codes, positions, times) WITH ORDINALITY AS d (nth, code, earlier, earlier_ms, n);
    END IF;
  END $$;

  -- The bytes of a number as a varint of the given length, longer than it had to be.
  CREATE FUNCTION varint_1(value bigint, length int) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT decode(string_agg(lpad(to_hex(((value >> (7 * n)) & 127) | CASE WHEN n < length - 1 THEN 128 ELSE 0 END), 2, '0'),
      '' ORDER BY n), 'hex')
    FROM generate_series(0, length - 1) AS n
  $$;

  -- Carries out a change of a group that its rules allowed as long as change_seq is still the same. A group
  -- with change_seq 0 is new. Events are numbered from 1; event numbers stand for their seqs. Answers
  -- nothing when someone else has changed the group.
  --
  -- The bodies come in pieces. After each comes what was not known when they were made: the seq of an event
  -- (its number), the time (0), or nothing (-1).
  CREATE FUNCTION change_group_1(
    expected_epoch text, wanted_conversation_id text, wanted_group_id text, expected_change_seq bigint,
    actor_id text,
    event_kinds bigint[], pieces bytea[], piece_events bigint[], piece_holes bigint[],
    -- Whether the settings are saved; by which event they were made, 0 to leave that as it is.
    save boolean, made_by_event bigint,
    new_name bytea, new_join_policy bigint, new_history_for_new_members boolean, new_muted boolean,
    new_member_limit bigint, new_attributes text, new_owner_id text, new_member_count bigint, new_updater_id text,
    disband boolean,
    join_user_ids text[], join_roles bigint[], join_events bigint[], join_sees_all boolean,
    update_user_ids text[], update_roles bigint[], update_muted_until_ms bigint[],
    end_user_ids text[], end_events bigint[],
    OUT base_position bigint, OUT base_seq bigint, OUT time_ms bigint
  ) LANGUAGE plpgsql AS $$
  DECLARE
    conversation_key bigint;
    added bigint := cardinality(event_kinds);
    time_bytes bytea;
    seq_bytes bytea[];
  BEGIN
    PERFORM check_epoch_1(expected_epoch);
    IF expected_change_seq = 0 THEN
      INSERT INTO conversations (conversation_id) VALUES (wanted_conversation_id) ON CONFLICT DO NOTHING
        RETURNING key, last_seq INTO conversation_key, base_seq;
      IF conversation_key IS NULL THEN RETURN; END IF;
    ELSE
      SELECT key, last_seq INTO conversation_key, base_seq FROM conversations
        WHERE conversation_id = wanted_conversation_id FOR NO KEY UPDATE;
      IF NOT EXISTS (SELECT FROM groups WHERE conversation = conversation_key AND change_seq = expected_change_seq
          AND disband_time_ms IS NULL) THEN
        base_seq := NULL;
        RETURN;
      END IF;
    END IF;

    SELECT array_agg(varint_1(base_seq + n, 8) ORDER BY n) INTO seq_bytes FROM generate_series(1, added) AS n;
    -- Before the end of the log, like those who raise how far members have read.
    PERFORM FROM members m
      WHERE m.conversation = conversation_key AND (disband OR m.user_id = ANY (end_user_ids || update_user_ids))
      ORDER BY m.user_id FOR UPDATE;
    SELECT * INTO base_position, time_ms FROM take_positions_1(expected_epoch, added);

    time_bytes := '\\x08'::bytea || varint_1(time_ms / 1000, 7) || '\\x10'::bytea || varint_1(time_ms % 1000 * 1000000, 5);
    INSERT INTO events (position, conversation, seq, accept_time_ms, kind, sender_id, body)
      SELECT base_position + k.n, conversation_key, base_seq + k.n, time_ms, k.kind, actor_id, b.body
      FROM unnest(event_kinds) WITH ORDINALITY AS k (kind, n)
      JOIN (
        SELECT p.event, string_agg(p.piece || CASE
            WHEN p.hole = 0 THEN time_bytes
            WHEN p.hole > 0 THEN seq_bytes[p.hole]
            ELSE '' END, '' ORDER BY p.n) AS body
        FROM unnest(pieces, piece_events, piece_holes) WITH ORDINALITY AS p (piece, event, hole, n)
        GROUP BY p.event
      ) b ON b.event = k.n
      ORDER BY k.n;
    UPDATE conversations SET last_seq = base_seq + added, last_position = base_position + added
      WHERE key = conversation_key;

    IF expected_change_seq = 0 THEN
      INSERT INTO groups (conversation, group_id, name, join_policy, history_for_new_members, muted, member_limit,
          attributes, owner_id, member_count, create_time_ms, update_time_ms, updater_id, seq, change_seq)
        VALUES (conversation_key, wanted_group_id, new_name, new_join_policy, new_history_for_new_members, new_muted,
          new_member_limit, new_attributes, new_owner_id, new_member_count, time_ms, time_ms, new_updater_id,
          base_seq + made_by_event, base_seq + added);
    ELSIF save THEN
      UPDATE groups SET name = new_name, join_policy = new_join_policy,
          history_for_new_members = new_history_for_new_members, muted = new_muted, member_limit = new_member_limit,
          attributes = new_attributes, owner_id = new_owner_id, member_count = new_member_count,
          update_time_ms = CASE WHEN made_by_event > 0 THEN change_group_1.time_ms ELSE update_time_ms END,
          updater_id = new_updater_id,
          seq = CASE WHEN made_by_event > 0 THEN base_seq + made_by_event ELSE seq END,
          change_seq = base_seq + added,
          disband_time_ms = CASE WHEN disband THEN change_group_1.time_ms END
        WHERE conversation = conversation_key;
    ELSE
      UPDATE groups SET change_seq = base_seq + added WHERE conversation = conversation_key;
    END IF;

    IF disband THEN
      WITH gone AS (DELETE FROM members WHERE conversation = conversation_key RETURNING user_id, join_seq)
      INSERT INTO past_stays (user_id, conversation, from_seq, to_seq, to_position)
        SELECT user_id, conversation_key, join_seq, base_seq + added, base_position + added FROM gone;
    END IF;
    IF cardinality(end_user_ids) > 0 THEN
      WITH gone AS (
        DELETE FROM members m USING unnest(end_user_ids, end_events) AS u (user_id, event)
          WHERE m.user_id = u.user_id AND m.conversation = conversation_key
          RETURNING m.user_id, m.join_seq, u.event
      )
      INSERT INTO past_stays (user_id, conversation, from_seq, to_seq, to_position)
        SELECT user_id, conversation_key, join_seq, base_seq + event, base_position + event FROM gone;
    END IF;
    IF cardinality(update_user_ids) > 0 THEN
      UPDATE members m SET role = u.role, muted_until_ms = u.muted_until_ms
        FROM unnest(update_user_ids, update_roles, update_muted_until_ms) AS u (user_id, role, muted_until_ms)
        WHERE m.user_id = u.user_id AND m.conversation = conversation_key;
    END IF;
    IF cardinality(join_user_ids) > 0 THEN
      -- What was said before they came counts as read, also where they may read it.
      INSERT INTO members (user_id, conversation, role, join_time_ms, join_seq, visible_from_seq, read_seq, muted_until_ms)
        SELECT u.user_id, conversation_key, u.role, time_ms, base_seq + u.event,
          CASE WHEN join_sees_all THEN 1 ELSE base_seq + u.event END, base_seq + u.event - 1, 0
        FROM unnest(join_user_ids, join_roles, join_events) AS u (user_id, role, event);
    END IF;
  END $$;

  -- Logs a device out, or with no device all of the user.
  CREATE FUNCTION delete_sessions_1(expected_epoch text, of_user_id text, of_device_id text, OUT logout_id bigint)
  LANGUAGE plpgsql AS $$
  BEGIN
    PERFORM check_epoch_1(expected_epoch);
    IF of_device_id IS NULL THEN
      INSERT INTO users (user_id, tokens_refused_before_ms) VALUES (of_user_id, now_ms())
        ON CONFLICT (user_id) DO UPDATE SET tokens_refused_before_ms =
          greatest(users.tokens_refused_before_ms, excluded.tokens_refused_before_ms);
      DELETE FROM sessions WHERE user_id = of_user_id;
    ELSE
      INSERT INTO devices (user_id, device_id, tokens_refused_before_ms) VALUES (of_user_id, of_device_id, now_ms())
        ON CONFLICT (user_id, device_id) DO UPDATE SET tokens_refused_before_ms =
          greatest(devices.tokens_refused_before_ms, excluded.tokens_refused_before_ms);
      DELETE FROM sessions WHERE user_id = of_user_id AND device_id = of_device_id;
    END IF;
    -- The oldest have the lowest ids.
    DELETE FROM logouts WHERE id IN (SELECT id FROM logouts ORDER BY id LIMIT 100) AND time_ms < now_ms() - 3600000;
    UPDATE log_head SET last_logout_id = last_logout_id + 1 RETURNING last_logout_id INTO logout_id;
    INSERT INTO logouts (id, user_id, device_id, time_ms) VALUES (logout_id, of_user_id, of_device_id, now_ms());
  END $$;

  -- Notes the timeline after a failover, and the new epoch if it makes one. The first to say so wins.
  CREATE FUNCTION note_timeline_1(seen_epoch text, seen_timeline text, new_timeline text, new_epoch text)
  RETURNS text LANGUAGE sql AS $$
    UPDATE log_head SET timeline = new_timeline, epoch = coalesce(new_epoch, epoch)
      WHERE epoch = seen_epoch AND timeline = seen_timeline;
    SELECT epoch FROM log_head;
  $$;

  -- The first seq of a stretch above a position; the last one is known to be. Looks back from the end in
  -- growing steps, as little is missing most of the time, then halves the step where it passed the place.
  CREATE FUNCTION first_above_1(of_conversation bigint, from_seq bigint, to_seq bigint, after_position bigint)
  RETURNS bigint LANGUAGE plpgsql STABLE AS $$
  DECLARE
    high bigint := to_seq;
    low bigint := from_seq;
    step bigint := 1;
    middle bigint;
    at bigint;
  BEGIN
    -- Those who are new to a conversation, or to all, miss the whole of it.
    SELECT position INTO at FROM events WHERE conversation = of_conversation AND seq = from_seq;
    IF at > after_position THEN RETURN from_seq; END IF;
    WHILE high - step >= from_seq LOOP
      SELECT position INTO at FROM events WHERE conversation = of_conversation AND seq = high - step;
      IF at > after_position THEN
        high := high - step;
        step := step * 2;
      ELSE
        low := high - step + 1;
        EXIT;
      END IF;
    END LOOP;
    WHILE low < high LOOP
      middle := (low + high) / 2;
      SELECT position INTO at FROM events WHERE conversation = of_conversation AND seq = middle;
      IF at > after_position THEN high := middle; ELSE low := middle + 1; END IF;
    END LOOP;
    RETURN high;
  END $$;

  -- The first seq of a conversation accepted at or after a time, or its last seq plus one.
  CREATE FUNCTION seq_at_time_1(of_conversation_id text, at_time_ms bigint) RETURNS bigint
  LANGUAGE plpgsql STABLE AS $$
  DECLARE
    of_conversation bigint;
    low bigint := 1;
    high bigint;
    middle bigint;
    middle_ms bigint;
  BEGIN
    SELECT key, last_seq + 1 INTO of_conversation, high FROM conversations
      WHERE conversation_id = of_conversation_id;
    IF of_conversation IS NULL THEN RETURN 1; END IF;
    WHILE low < high LOOP
      middle := (low + high) / 2;
      SELECT accept_time_ms INTO middle_ms FROM events WHERE conversation = of_conversation AND seq = middle;
      IF middle_ms < at_time_ms THEN low := middle + 1; ELSE high := middle; END IF;
    END LOOP;
    RETURN low;
  END $$;

  -- What a user may get above a position: one row for each stay that has some.
  CREATE FUNCTION stays_above_1(of_user_id text, after_position bigint)
  RETURNS TABLE (conversation bigint, from_seq bigint, to_seq bigint) LANGUAGE sql STABLE AS $$
    SELECT s.conversation, first_above_1(s.conversation, s.from_seq, s.to_seq, after_position), s.to_seq
    FROM (
      SELECT p.conversation, p.from_seq, p.to_seq FROM past_stays p
        WHERE p.user_id = of_user_id AND p.to_position > after_position
      UNION ALL
      SELECT m.conversation, m.join_seq, c.last_seq
        FROM members m JOIN conversations c ON c.key = m.conversation
        WHERE m.user_id = of_user_id AND c.last_position > after_position
    ) s
  $$;
`;

/** The functions of the second step. */
export const functionsStep2 = `
  -- Mutes members of a conversation. Called in the statement that makes them members again, behind
  -- change_group_1: as a function of its own it sees what that did.
  CREATE FUNCTION mute_members_1(of_conversation_id text, user_ids text[], until_ms bigint[]) RETURNS void
  LANGUAGE sql VOLATILE AS $$
    UPDATE members m SET muted_until_ms = u.until_ms
      FROM conversations c, unnest(user_ids, until_ms) AS u (user_id, until_ms)
      WHERE c.conversation_id = of_conversation_id AND m.conversation = c.key AND m.user_id = u.user_id
  $$;
`;

/** The functions of the fourth step. Those of the first that look at the epoch look at the release, too. */
export const functionsStep4 = `
  -- Makes sure that the caller's release knows what is in the log; sees what its statement sees.
  CREATE FUNCTION release_known_1() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
  BEGIN
    IF coalesce(nullif(current_setting('parlance.release', true), '')::int, 0) < (SELECT min_release FROM log_head) THEN
      RAISE EXCEPTION 'a later release writes to the store' USING ERRCODE = 'PL002';
    END IF;
    RETURN true;
  END $$;

  CREATE OR REPLACE FUNCTION check_epoch_1(expected text) RETURNS void LANGUAGE plpgsql AS $$
  BEGIN
    IF expected IS DISTINCT FROM (SELECT epoch FROM log_head) THEN
      RAISE EXCEPTION 'the store was replaced' USING ERRCODE = 'PL001';
    END IF;
    PERFORM release_known_1();
  END $$;

  CREATE OR REPLACE FUNCTION take_positions_1(expected_epoch text, count bigint, OUT base bigint, OUT time_ms bigint)
  LANGUAGE plpgsql AS $$
  DECLARE
    found_epoch text;
  BEGIN
    UPDATE log_head SET last_position = last_position + count, last_time_ms = greatest(last_time_ms, now_ms())
      RETURNING last_position - count, last_time_ms, epoch INTO base, time_ms, found_epoch;
    IF expected_epoch IS DISTINCT FROM found_epoch THEN
      RAISE EXCEPTION 'the store was replaced' USING ERRCODE = 'PL001';
    END IF;
    -- Nobody raises it any more until the commit.
    PERFORM release_known_1();
  END $$;
`;
