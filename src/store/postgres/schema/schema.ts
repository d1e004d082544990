/**
 * The first step of the schema. Times are milliseconds since 1970. Ids compare
 * byte for byte, whatever the language of the database. What may hold any
 * character, NUL too, is stored as bytes.
 */
export const schemaStep1 = `
  -- One row: where the log ends. Who appends updates it last and holds it until the commit, so the
  -- order of positions is the order of commits.
  CREATE TABLE log_head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    last_position bigint NOT NULL DEFAULT 0,
    last_time_ms bigint NOT NULL DEFAULT 0,
    last_logout_id bigint NOT NULL DEFAULT 0,
    epoch text NOT NULL,
    salt bigint NOT NULL,
    -- The timeline of the write-ahead log on which the store was last known to be, and of which table in which
    -- database and system: another means a failover, or a restored dump.
    timeline text NOT NULL
  ) WITH (fillfactor = 10);

  CREATE TABLE conversations (
    key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    conversation_id text COLLATE "C" NOT NULL UNIQUE,
    last_seq bigint NOT NULL DEFAULT 0,
    last_position bigint NOT NULL DEFAULT 0
  ) WITH (fillfactor = 70);

  CREATE TABLE events (
    position bigint PRIMARY KEY,
    conversation bigint NOT NULL,
    seq bigint NOT NULL,
    accept_time_ms bigint NOT NULL,
    kind smallint NOT NULL,
    sender_id text COLLATE "C" NOT NULL,
    client_message_id bytea,
    body bytea NOT NULL
  );
  CREATE UNIQUE INDEX events_by_seq ON events (conversation, seq);
  CREATE UNIQUE INDEX events_by_client_message_id ON events (sender_id, client_message_id)
    WHERE client_message_id IS NOT NULL;

  CREATE TABLE groups (
    conversation bigint PRIMARY KEY,
    group_id text COLLATE "C" NOT NULL UNIQUE,
    name bytea NOT NULL,
    join_policy smallint NOT NULL,
    history_for_new_members boolean NOT NULL,
    muted boolean NOT NULL,
    member_limit bigint NOT NULL,
    -- JSON; its own type would not take every text.
    attributes text NOT NULL,
    owner_id text COLLATE "C" NOT NULL,
    member_count bigint NOT NULL,
    create_time_ms bigint NOT NULL,
    update_time_ms bigint NOT NULL,
    updater_id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    -- The seq of the last event that is no message. As long as it stays the same, so do the group and its members.
    change_seq bigint NOT NULL,
    disband_time_ms bigint
  ) WITH (fillfactor = 80);

  -- Who is in which conversation now, direct ones too.
  CREATE TABLE members (
    user_id text COLLATE "C" NOT NULL,
    conversation bigint NOT NULL,
    role smallint NOT NULL,
    join_time_ms bigint NOT NULL,
    join_seq bigint NOT NULL,
    visible_from_seq bigint NOT NULL,
    read_seq bigint NOT NULL,
    muted_until_ms bigint NOT NULL,
    PRIMARY KEY (user_id, conversation)
  ) WITH (fillfactor = 80);
  CREATE UNIQUE INDEX members_by_conversation ON members (conversation, user_id);

  -- Memberships that ended; the event of to_seq ended them.
  CREATE TABLE past_stays (
    user_id text COLLATE "C" NOT NULL,
    conversation bigint NOT NULL,
    from_seq bigint NOT NULL,
    to_seq bigint NOT NULL,
    to_position bigint NOT NULL,
    PRIMARY KEY (user_id, to_position, conversation)
  );

  CREATE TABLE devices (
    user_id text COLLATE "C" NOT NULL,
    device_id text COLLATE "C" NOT NULL,
    platform int NOT NULL DEFAULT 0,
    name bytea NOT NULL DEFAULT '',
    position bigint,
    opens bigint NOT NULL DEFAULT 0,
    tokens_refused_before_ms bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, device_id)
  ) WITH (fillfactor = 80);

  CREATE TABLE sessions (
    token_hash bytea PRIMARY KEY,
    session_id text NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    device_id text COLLATE "C" NOT NULL,
    platform int NOT NULL,
    create_time_ms bigint NOT NULL,
    expire_time_ms bigint NOT NULL
  );
  CREATE INDEX sessions_by_device ON sessions (user_id, device_id);

  CREATE TABLE users (
    user_id text COLLATE "C" PRIMARY KEY,
    last_active_ms bigint NOT NULL DEFAULT 0,
    tokens_refused_before_ms bigint NOT NULL DEFAULT 0
  ) WITH (fillfactor = 80);

  -- Logouts, so that other processes hear of them; forgotten after an hour.
  CREATE TABLE logouts (
    id bigint PRIMARY KEY,
    user_id text COLLATE "C" NOT NULL,
    device_id text COLLATE "C",
    time_ms bigint NOT NULL
  );

  CREATE TABLE probes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    body bytea NOT NULL
  );
  ALTER TABLE probes ALTER COLUMN body SET STORAGE EXTERNAL;
`;

/** The sixth step of the schema. */
export const schemaStep6 = `
  -- By \`other-settings.ts\`.
  ALTER TABLE groups ADD COLUMN other_settings bytea NOT NULL DEFAULT '';
`;

/** The fifth step of the schema. */
export const schemaStep5 = `
  -- Whom an event is for, where that is not everybody; see \`audience.ts\`.
  ALTER TABLE events ADD COLUMN about_seq bigint, ADD COLUMN only_user_ids text;
`;

/** The fourth step of the schema. */
export const schemaStep4 = `
  -- The lowest release that can be trusted with the kinds of events in the log, as \`release.ts\` numbers them. It is
  -- raised under the lock of this row, so every event of such a kind lies behind it.
  ALTER TABLE log_head ADD COLUMN min_release int NOT NULL DEFAULT 0;
`;

/** The third step of the schema. */
export const schemaStep3 = `
  -- Of the bodies of the user's messages, as far as they were counted.
  ALTER TABLE users ADD COLUMN stored_bytes bigint NOT NULL DEFAULT 0;
`;
