/** The API key that the page of rooms was signed in with: kept for this tab, or for this device. */

import type { ApiKey } from "./access-token";

const KEY = "live777py.livekit";

export function storedKey(): ApiKey | null {
  try {
    const value = JSON.parse(sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY) ?? "null") as ApiKey | null;
    return value && typeof value.key === "string" && typeof value.secret === "string" ? value : null;
  } catch {
    return null;
  }
}

/** null forgets the one there was. */
export function storeKey(value: ApiKey | null, keep: boolean): void {
  for (const storage of [sessionStorage, localStorage]) storage.removeItem(KEY);
  if (value) (keep ? localStorage : sessionStorage).setItem(KEY, JSON.stringify(value));
}
