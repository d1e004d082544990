import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { startTestServer, type TestServer } from "./server.ts";

/** A server on a copy of a store that an earlier version wrote. */
export interface OpenFixture {
  server: TestServer;
  close: () => Promise<void>;
}

/** Unpacks a fixture, `store-v*.db.gz`, into a folder of data of its own. */
export function unpackFixture(path: string): { dataDir: string; remove: () => void } {
  const dataDir = mkdtempSync(join(tmpdir(), "parlance-fixture-"));
  writeFileSync(join(dataDir, "parlance.db"), gunzipSync(readFileSync(path)));
  return { dataDir, remove: () => rmSync(dataDir, { recursive: true, force: true }) };
}

/** Starts a server on a copy of a fixture. Close it in the end. */
export async function openFixture(path: string): Promise<OpenFixture> {
  const { dataDir, remove } = unpackFixture(path);
  const server = await startTestServer({ dataDir });
  return {
    server,
    async close() {
      await server.close();
      remove();
    },
  };
}
