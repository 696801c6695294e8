"""Deleting a recording: its objects, then its row, so that what is left after a failure can be deleted again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from live777py.storage import StoragePath

if TYPE_CHECKING:
    from live777py.recorder.index import Recording, RecordingIndex
    from live777py.storage import Storage


async def delete_recording(recording: Recording, index: RecordingIndex, storage: Storage) -> None:
    """Raises StorageError, StoreError."""
    directory = StoragePath(recording.directory)
    entries = await storage.list(directory)
    if all(entry.path.parent == directory for entry in entries):
        await storage.delete_prefix(directory)
    else:
        # Others keep something below a `base_dir`, such as recordings that the index has been told to forget.
        for entry in entries:
            if entry.path.parent == directory:
                await storage.delete(entry.path)
    await index.remove(recording.key)
