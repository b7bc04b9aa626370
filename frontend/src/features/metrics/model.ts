import type { Schemas } from '@/lib/api'

type Bucket = Schemas['MetricsBucket']

export type Bar = {
  at: string
  x: number
  width: number
  /** From the bottom up; heights are in drawing units. */
  success: number
  failed: number
  other: number
}

export type RunsChart = {
  bars: Bar[]
  gridlines: { y: number; value: number }[]
  labels: { x: number; at: string }[]
}

const BAR_SHARE = 0.7
const GRIDLINES_WANTED = 3
const LABELS_WANTED = 6

/** Where everything goes in a plot of `width` × `height`, y downwards. */
export function layoutRunsChart(
  buckets: readonly Bucket[],
  width: number,
  height: number,
): RunsChart {
  const totals = buckets.map((bucket) => ended(bucket))
  const step = gridStep(Math.max(0, ...totals))
  const top = Math.max(1, Math.ceil(Math.max(0, ...totals) / step)) * step
  const scale = height / top
  const slot = buckets.length > 0 ? width / buckets.length : 0
  const bars = buckets.map((bucket, position) => ({
    at: bucket.at,
    x: position * slot + (slot * (1 - BAR_SHARE)) / 2,
    width: slot * BAR_SHARE,
    success: bucket.success * scale,
    failed: (bucket.failed + bucket.timed_out) * scale,
    other: bucket.cancelled * scale,
  }))
  const gridlines = []
  for (let value = 0; value <= top; value += step)
    gridlines.push({ value, y: height - value * scale })
  const every = Math.max(1, Math.ceil(buckets.length / LABELS_WANTED))
  const labels = bars
    .filter((_, position) => position % every === 0)
    .map(({ x, at }) => ({ x, at }))
  return { bars, gridlines, labels }
}

/** Fewer say nothing about how it went. */
const FEWEST_POINTS = 6

/**
 * Where a line through `values` goes in a drawing of `width` × `height`, y downwards. It begins with the first run;
 * gaps are left out, and it is empty where there are too few values for a line.
 */
export function sparkline(
  all: readonly (number | null)[],
  width: number,
  height: number,
): { x: number; y: number }[] {
  const values = all.slice(Math.max(0, all.findIndex(Boolean)))
  const known = values.filter((value) => value !== null)
  if (known.length < FEWEST_POINTS) return []
  const lowest = Math.min(...known)
  const range = Math.max(...known) - lowest
  return values.flatMap((value, position) =>
    value === null
      ? []
      : {
          x: (position / Math.max(1, values.length - 1)) * width,
          y: range === 0 ? height / 2 : height - ((value - lowest) / range) * height,
        },
  )
}

/** 0 to 100 of those that ended by themselves; null where none did. */
export function successRate({ success, failed, timed_out }: Bucket): number | null {
  const all = success + failed + timed_out
  return all === 0 ? null : (100 * success) / all
}

export function ended(bucket: Bucket): number {
  return bucket.success + bucket.failed + bucket.timed_out + bucket.cancelled
}

/** A round number of runs between gridlines: 1, 2 or 5 times a power of ten. */
function gridStep(most: number): number {
  const wanted = Math.max(1, most / GRIDLINES_WANTED)
  const power = 10 ** Math.floor(Math.log10(wanted))
  const factor = [1, 2, 5, 10].find((candidate) => candidate * power >= wanted) ?? 10
  return factor * power
}

/** "2 min", "half hour", "3 hours", "12 hours": of what one bar counts. */
export function bucketName(seconds: number): string {
  if (seconds === 1800) return 'half hour'
  if (seconds === 3600) return 'hour'
  if (seconds === 86_400) return 'day'
  if (seconds < 3600) return seconds === 60 ? 'minute' : `${seconds / 60} minutes`
  return `${seconds / 3600} hours`
}

/** How a percentage or a duration changed against the day before; null without a day before. */
export function change(current: number | null, previous: number | null): number | null {
  return current === null || previous === null ? null : current - previous
}
