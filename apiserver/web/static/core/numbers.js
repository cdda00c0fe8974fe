// Arithmetic that does not overflow for numbers near the greatest double.

/**
 * Mean and standard deviation (0 for a single number) of finite numbers.
 * @param {number[]} values at least one
 * @returns {[number, number]}
 */
export function meanAndDeviation(values) {
  const greatest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  // Scaled to -1 … 1 if sums and squares could overflow or underflow.
  const unit = greatest > 1e100 || greatest < 1e-100 ? greatest || 1 : 1;
  const mean = values.reduce((sum, value) => sum + value / unit, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value / unit - mean) ** 2, 0);
  return [fitting(mean * unit), values.length < 2 ? 0 : fitting(Math.sqrt(squares / (values.length - 1)) * unit)];
}

/** Where a value is between two others: 0 at `low`, 1 at `high`. @param {number} value @param {number} low @param {number} high */
export const share = (value, low, high) => (value / 2 - low / 2) / (high / 2 - low / 2); // halves, because the difference itself may overflow

/** The finite number nearest to a value. @param {number} value */
export const fitting = (value) => Math.min(Math.max(value, -Number.MAX_VALUE), Number.MAX_VALUE);
