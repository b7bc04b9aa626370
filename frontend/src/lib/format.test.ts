import { expect, it } from 'vitest'
import { formatAgo, formatBytes, formatDuration, formatPercent, plural } from '@/lib/format'
import { at, START } from '@/test/factories'

it.each([
  [0, '0 ms'],
  [0.021, '21 ms'],
  [0.5, '0.5 s'],
  [0.72, '0.72 s'],
  [4.12, '4.1 s'],
  [59.96, '1 m 00 s'],
  [184, '3 m 04 s'],
  [3600, '1 h 00 m'],
  [7500, '2 h 05 m'],
  [100_000, '1 d 03 h'],
])('writes %d seconds as %s', (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text)
})

it.each([
  [2, 'just now'],
  [42, '42 s ago'],
  [240, '4 min ago'],
  [7200, '2 h ago'],
  [172_800, '2 d ago'],
])('calls %d seconds ago "%s"', (seconds, text) => {
  expect(formatAgo(START, Date.parse(at(seconds)))).toBe(text)
})

it('writes sizes, shares and counts', () => {
  expect(formatBytes(517)).toBe('517 B')
  expect(formatBytes(1_500_000)).toBe('1.5 MB')
  expect(formatPercent(97.25)).toBe('97.3%')
  expect(formatPercent(100)).toBe('100%')
  expect(plural(1, 'stage')).toBe('1 stage')
  expect(plural(8412, 'row')).toBe('8,412 rows')
})
