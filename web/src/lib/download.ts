/** Saving what only a token can read. */

import { request } from "./errors";

type Picker = (options: { suggestedName: string }) => Promise<FileSystemFileHandle>;

/**
 * Saves an answer under `name`: piece by piece into a file that is asked for where the browser can, else by way of a
 * blob. `onProgress` is told the octets so far. Resolves to false when the viewer chose no file.
 */
export async function download(
  url: URL,
  token: string,
  name: string,
  onProgress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<boolean> {
  const picker = (window as Window & { showSaveFilePicker?: Picker }).showSaveFilePicker;
  let file: FileSystemFileHandle | null = null;
  try {
    file = picker ? await picker.call(window, { suggestedName: name }) : null;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return false;
    throw error;
  }
  // No time limit of its own: a day of video takes what it takes.
  const response = await request(url, token, { signal });
  let bytes = 0;
  const count = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(piece, controller) {
      bytes += piece.byteLength;
      onProgress(bytes);
      controller.enqueue(piece);
    },
  });
  const body = response.body?.pipeThrough(count) ?? null;
  if (file) {
    await body?.pipeTo(await file.createWritable(), { signal });
    return true;
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await new Response(body).blob());
  link.download = name;
  link.click();
  // The browser has taken the blob when it began to save it; a minute is more than that.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  return true;
}
