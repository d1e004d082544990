import type { DeviceRecord } from "../../model/records.ts";

/** Keeps the devices of users and how far each has read. */
export interface DeviceStore {
  /**
   * Returns a device, made if need be; platform and name are kept when given.
   *
   * @param maxDevices the most a user has, 0 for no limit: a new one beyond takes the place of the one not used for
   *   longest, which is the one whose cursor is lowest, if it has any
   */
  openDevice(
    userId: string,
    deviceId: string,
    platform: number,
    name: string,
    maxDevices?: number,
  ): Promise<DeviceRecord>;
  /** Raises the cursors of devices, made if need be; a lower position changes nothing. */
  saveCursors(entries: ReadonlyArray<{ userId: string; deviceId: string; position: number }>): Promise<void>;
}
