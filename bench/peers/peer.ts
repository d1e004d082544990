import type { ProtocolName } from "./clients/protocols.ts";

/** A server that others run for the same purpose, in one of the ways to run it. */
export interface Peer {
  /** What it is called, in rows and after `--only`. */
  name: string;
  /** How it is run here, in one or two words. A peer has several rows of a job where it has several modes. */
  mode: string;
  /** Whether messages are kept, and so can be had later by those who were away. */
  durable: boolean;
  /** The settings that differ from its defaults, and what durable means. */
  settings: string;
  protocol: ProtocolName;
  /** What has to be there. */
  needs: readonly Need[];
  /**
   * Starts a server of its own, on ports of this machine that are free.
   *
   * @param folder a folder for its files, empty, removed later
   */
  start(folder: string): Promise<RunningPeer>;
}

/** A server that runs. */
export interface RunningPeer {
  /** Where clients connect. */
  port: number;
  /** The processes whose use is counted, with all that descend from them. */
  pids: readonly number[];
  /** Returns how many messages it has kept, if it can be asked. One that is kept for both sides counts twice. */
  kept?(): Promise<number>;
  close(): Promise<void>;
}

/** A program that a peer needs. */
export interface Need {
  /** Returns its version, or undefined when it is not installed. */
  version(): string | undefined;
  /**
   * Installs it.
   *
   * @throws Error with the reason when it cannot be had
   */
  install(): Promise<void>;
}
