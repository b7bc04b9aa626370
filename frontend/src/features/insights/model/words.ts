import type { Insight, Suggestion } from '@/features/insights/api'
import { formatCount, formatDuration, formatPercent } from '@/lib/format'
import type { Tone } from '@/lib/status'

export const VALUES: Record<Suggestion['value'], { word: string; tone: Tone }> = {
  faster: { word: 'Faster', tone: 'running' },
  fewer_failures: { word: 'Fewer failures', tone: 'failed' },
  fewer_retries: { word: 'Fewer retries', tone: 'retrying' },
  cheaper: { word: 'Cheaper', tone: 'queued' },
}

export const RULES: Record<Insight['rule'], { word: string; tone: Tone }> = {
  slow_runs: { word: 'Slow runs', tone: 'running' },
  slow_drift: { word: 'Slower and slower', tone: 'running' },
  rows_changed: { word: 'Rows changed', tone: 'skipped' },
  bytes_changed: { word: 'Size changed', tone: 'skipped' },
  queue_wait: { word: 'Long wait', tone: 'queued' },
  failure_rate: { word: 'Fails more often', tone: 'failed' },
  bad_version: { word: 'Bad version', tone: 'failed' },
  flaky_stage: { word: 'Flaky stage', tone: 'retrying' },
  outage: { word: 'Outage', tone: 'failed' },
  new_error: { word: 'New error', tone: 'failed' },
  metric: { word: 'Metric', tone: 'skipped' },
}

/** "saves 19 s a run (31%)"; null where time is not what it is about. */
export function savingInWords({ saving }: Suggestion): string | null {
  if (!saving) return null
  return `saves ${formatDuration(saving.seconds)} a run (${formatPercent(Math.round(saving.share * 100))})`
}

/** 0.9993 → "99.9%": never "100%" of something that may be chance. */
export function formatConfidence(confidence: number): string {
  const shown = Math.min(confidence, 0.999)
  return `${(Math.floor(shown * 1000) / 10).toFixed(1).replace(/\.0$/, '')}%`
}

/** "queue_p90" → "queue p90" */
export function nameOfNumber(name: string): string {
  return name.replaceAll('_', ' ')
}

/** Three digits that say something, and all that stand before the point. */
export function formatNumber(value: number): string {
  return Number.isInteger(value) || Math.abs(value) >= 100
    ? formatCount(Math.round(value))
    : value.toPrecision(3)
}
