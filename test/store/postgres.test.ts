import { afterAll, beforeAll } from "vitest";
import { createPostgresStore } from "../../src/store/postgres/postgres-store.ts";
import { type StoreUnderTest, storeContract } from "../contracts/store.ts";
import { describeWithPostgres, startPostgres, type TestPostgres } from "../support/postgres.ts";
import { appendUnknownTo } from "../support/unknown-events.ts";

describeWithPostgres("PostgreSQL", () => {
  let postgres: TestPostgres;
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres?.close());

  storeContract("postgres store", async () => {
    const url = await postgres.createDatabase();
    const tested: StoreUnderTest = {
      store: await createPostgresStore({ url }),
      async reopen() {
        await tested.store.close();
        tested.store = await createPostgresStore({ url });
      },
      appendUnknown: (conversationId, audience) => appendUnknownTo(postgres, url, conversationId, audience),
      remove: () => tested.store.close(),
    };
    return tested;
  });
});
