/** What every text begins with: nothing that a protocol says by itself. */
export const marker = "~~~ hello ~~~";

/** The text of every message: 100 bytes. */
export const text = `${marker}${"x".repeat(87)}`;

/** What a load does through one connection of one user. */
export interface Client {
  /** Resolves once this user gets what is sent to a group. */
  join(group: string): Promise<void>;
  /** Sends the text to a group, which reaches this user too when they are in it. */
  sendToGroup(group: string): void;
  /** Sends the text to a user. */
  sendTo(user: number): void;
  close(): void;
}

/** What is told of all clients of a load. */
export interface Listener {
  /** The user received texts. */
  received(user: number, count: number): void;
  /** The server confirmed texts that the user sent. */
  answered(user: number, count: number): void;
  /** Something happened that should not: the load is no good. */
  failed(why: string): void;
}

/** How to connect. */
export interface ConnectOptions {
  port: number;
  /** Which user to be. What is sent to them arrives from now on. */
  user: number;
  /** Whether to ask the server to keep what is sent, where that is up to clients. */
  durable: boolean;
  listener: Listener;
}

/** A protocol that a load can speak. */
export interface Protocol {
  connect(options: ConnectOptions): Promise<Client>;
  /** Whether the server confirms what it is sent. */
  answers(durable: boolean): boolean;
}
