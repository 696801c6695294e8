import { describe, expect, test } from "vitest";
import { readLayers } from "../src/lib/viewer-events";

describe("the layers to choose from", () => {
  const layer = (id: object, width: number, bitrate: number) => ({ ...id, width, height: width / 2, bitrate });

  test("of simulcast: one for each rid, the best first, with those that are not sent", () => {
    const told = [layer({ rid: "f" }, 1280, 900), layer({ rid: "q" }, 320, 0)];
    expect(readLayers({ 1: told })).toEqual([
      { encodingId: "f", width: 1280, height: 640, bitrate: 900, active: true },
      { encodingId: "q", width: 320, height: 160, bitrate: 0, active: false },
    ]);
  });

  test("temporal layers are no choice of their own", () => {
    const told = ["f", "q"].flatMap((rid) =>
      [2, 1, 0].map((temporalLayerId) => ({ rid, temporalLayerId, bitrate: 1 })),
    );
    expect(readLayers({ 0: told }).map(({ encodingId }) => encodingId)).toEqual(["f", "q"]);
    expect(readLayers({ 0: [{ temporalLayerId: 1 }, { temporalLayerId: 0 }] })).toEqual([]);
  });

  test("of one encoding: its spatial layers", () => {
    const told = [1, 0].flatMap((spatialLayerId) => [
      layer({ spatialLayerId, temporalLayerId: 1 }, 320 << spatialLayerId, 9),
      layer({ spatialLayerId, temporalLayerId: 0 }, 320 << spatialLayerId, 4),
    ]);
    for (const rid of [{}, { rid: "only" }]) {
      expect(readLayers({ 0: told.map((one) => ({ ...one, ...rid })) })).toEqual([
        { spatialLayerId: 1, width: 640, height: 320, bitrate: 9, active: true },
        { spatialLayerId: 0, width: 320, height: 160, bitrate: 9, active: true },
      ]);
    }
  });

  test("nothing to choose from, and what is no list of layers", () => {
    for (const data of [{}, { 1: [] }, { 1: [{ rid: "f", bitrate: 1 }] }, null, "layers", { 1: 7 }]) {
      expect(readLayers(data)).toEqual([]);
    }
  });
});
