/** The attributes of a participant as text, one key=value a line. */

/** @throws Error with the line that has no key */
export function readAttributes(text: string): Record<string, string> {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.indexOf("=");
      if (at < 1) throw new Error(`“${line.trim()}” is not key=value.`);
      return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
    }),
  );
}

/** What to send: an attribute is removed by an empty value. */
export function changes(before: Record<string, string>, after: Record<string, string>): Record<string, string> {
  const removed = Object.keys(before).filter((key) => !(key in after));
  return { ...after, ...Object.fromEntries(removed.map((key) => [key, ""])) };
}
