/** What a validation stage leaves in the details of its error, which the API passes on as it is. */

export type FailedRule = {
  rule: string
  column: string
  failed: number
  samples: { row: number; value: string }[]
}

/** The rules that refused rows, the strictest first; empty when the details hold no such report. */
export function failedRules(details: Record<string, unknown> | undefined): FailedRule[] {
  const report = details?.report
  if (!Array.isArray(report)) return []
  return report
    .flatMap((entry) => toRule(entry) ?? [])
    .filter(({ failed }) => failed > 0)
    .toSorted((a, b) => b.failed - a.failed)
}

function toRule(entry: unknown): FailedRule | null {
  if (!isObject(entry) || typeof entry.rule !== 'string' || typeof entry.failed !== 'number')
    return null
  return {
    rule: entry.rule,
    column: typeof entry.column === 'string' ? entry.column : '',
    failed: entry.failed,
    samples: Array.isArray(entry.samples) ? entry.samples.flatMap(toSample) : [],
  }
}

function toSample(entry: unknown): FailedRule['samples'] {
  if (!isObject(entry) || typeof entry.row !== 'number') return []
  return [{ row: entry.row, value: entry.value == null ? 'null' : String(entry.value) }]
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
