import { describe, expect, it } from 'vitest'
import {
  bucketName,
  change,
  layoutRunsChart,
  sparkline,
  successRate,
} from '@/features/metrics/model'
import { at, bucket } from '@/test/factories'

describe('layoutRunsChart', () => {
  it('fills the plot to the gridline above the highest bar', () => {
    const chart = layoutRunsChart(
      [bucket({ success: 30, failed: 10 }), bucket({ at: at(60), success: 10 })],
      200,
      100,
    )
    expect(chart.gridlines.map(({ value }) => value)).toEqual([0, 20, 40])
    expect(chart.bars[0]).toMatchObject({ success: 75, failed: 25 })
    expect(chart.bars[1]?.x).toBeGreaterThan(100)
  })

  it('counts a timeout as a failure and a cancellation as neither', () => {
    const [bar] = layoutRunsChart([bucket({ timed_out: 1, cancelled: 1 })], 10, 100).bars
    expect(bar).toMatchObject({ success: 0, failed: 50, other: 50 })
  })

  it('draws an empty range', () => {
    expect(layoutRunsChart([], 100, 100)).toMatchObject({ bars: [], labels: [] })
    expect(layoutRunsChart([bucket()], 100, 100).gridlines.map(({ value }) => value)).toEqual([
      0, 1,
    ])
  })
})

it.each([
  [60, 'minute'],
  [120, '2 minutes'],
  [1800, 'half hour'],
  [10_800, '3 hours'],
  [86_400, 'day'],
])('names a bucket of %i seconds %s', (seconds, name) => {
  expect(bucketName(seconds)).toBe(name)
})

it('compares only with a day that had runs', () => {
  expect(change(95, 96.5)).toBe(-1.5)
  expect(change(95, null)).toBeNull()
})

describe('sparkline', () => {
  it('spans the drawing from the first run on, the highest on top, and leaves gaps out', () => {
    expect(sparkline([0, null, 5, 0, null, 10, 5, 5, 0], 60, 20)).toEqual([
      { x: 0, y: 10 },
      { x: 10, y: 20 },
      { x: 30, y: 0 },
      { x: 40, y: 10 },
      { x: 50, y: 10 },
      { x: 60, y: 20 },
    ])
  })

  it('runs through the middle when nothing changes, and is empty with too few values', () => {
    expect(sparkline([3, 3, 3, 3, 3, 3], 50, 20)[1]).toEqual({ x: 10, y: 10 })
    expect(sparkline([3, 3, 3, 3, 3], 50, 20)).toEqual([])
    expect(sparkline([], 50, 20)).toEqual([])
  })
})

it('counts a success rate of what ended by itself', () => {
  expect(successRate(bucket({ success: 3, failed: 1, cancelled: 5 }))).toBe(75)
  expect(successRate(bucket({ cancelled: 2 }))).toBeNull()
})
