/** The token that was signed in with: kept for this tab, or for this device. */

const KEY = "live777py.token";

/** What people paste: with or without the scheme of the header. */
export function bareToken(text: string): string {
  return text.trim().replace(/^Bearer\s+/i, "");
}

export function storedToken(): string {
  return sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY) ?? "";
}

/** An empty token forgets the one there was. */
export function storeToken(token: string, keep: boolean): void {
  for (const storage of [sessionStorage, localStorage]) storage.removeItem(KEY);
  if (token) (keep ? localStorage : sessionStorage).setItem(KEY, token);
}
