/** Lays out rows of strings: the first column to the left, the others to the right. */
export function formatTable(head, rows) {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map(row => row[column].length)));
  const line = row =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join('  ');
  return [line(head), widths.map(width => '-'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}

export const micros = value => `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} µs`;
export const megabytes = bytes => `${(bytes / 1e6).toFixed(1)} MB`;

/** Small ratios as a fraction, the way the goals are written: 0.034 is 1/29. */
export const ratio = value => (value < 0.5 ? `1/${Math.round(1 / value)}` : value.toFixed(2));
