/**
 * Reads `application/vnd.tidemark.columns`: "TMC1", u32 header length, JSON header, then little-endian columns that begin at multiples of 8.
 * Columns are views of the answer's buffer; nothing is copied.
 */

/** @typedef {Float64Array | Float32Array | Int32Array | Uint32Array | Uint16Array | Uint8Array | BigInt64Array} Column */
/** @typedef {{columns: Record<string, Column>} & Record<string, any>} ColumnSeries */

/** @type {Record<string, any>} */
const KINDS = {
  f8: Float64Array,
  f4: Float32Array,
  i8: BigInt64Array,
  i4: Int32Array,
  u4: Uint32Array,
  u2: Uint16Array,
  u1: Uint8Array,
};

export const COLUMNS_TYPE = "application/vnd.tidemark.columns";

/**
 * The header with every `[dtype, offset]` replaced by a typed array of the series' `n` values.
 * Throws `RangeError` for other or truncated data.
 * @param {ArrayBuffer} buffer
 * @returns {{series: ColumnSeries[]} & Record<string, any>}
 */
export function readColumns(buffer) {
  if (buffer.byteLength < 8) throw new RangeError("columns: the answer is shorter than its header");
  const magic = String.fromCharCode(...new Uint8Array(buffer, 0, 4));
  if (magic !== "TMC1") throw new RangeError(`columns: expected TMC1, got ${JSON.stringify(magic)}`);
  const length = new DataView(buffer).getUint32(4, true);
  if (8 + length > buffer.byteLength) throw new RangeError("columns: the header extends beyond the answer");
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  const start = alignUp(8 + length);
  for (const series of header.series ?? []) {
    /** @type {Record<string, Column>} */
    const columns = {};
    for (const [name, [dtype, offset, count]] of Object.entries(series.columns ?? {})) {
      columns[name] = column(buffer, dtype, start + offset, count ?? series.n);
    }
    series.columns = columns;
  }
  return header;
}

/** @param {ArrayBuffer} buffer @param {string} dtype @param {number} at @param {number} count @returns {Column} */
function column(buffer, dtype, at, count) {
  const Kind = KINDS[dtype.replace("<", "")];
  if (!Kind) throw new RangeError(`columns: unknown number type ${JSON.stringify(dtype)}`);
  if (at + count * Kind.BYTES_PER_ELEMENT > buffer.byteLength) throw new RangeError("columns: a column extends beyond the answer");
  return new Kind(buffer, at, count);
}

/** @param {number} value */
function alignUp(value) {
  return (value + 7) & ~7;
}
