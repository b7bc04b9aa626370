import { expect, it, vi } from 'vitest'
import { formatExactly, formatInZone, formatNext, formatUntil } from '@/features/triggers/moments'
import { at, START } from '@/test/factories'

const NOW = Date.parse(START)
const MINUTE = 60
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

it.each([
  [-5, 'now'],
  [0, 'now'],
  [59, 'in < 1 min'],
  [11 * MINUTE + 59, 'in 11 min'],
  [HOUR, 'in 1 h'],
  [47 * HOUR, 'in 47 h'],
  [3 * DAY, 'in 3 d'],
])('says of what comes in %i s: %s', (seconds, words) => {
  expect(formatUntil(at(seconds), NOW)).toBe(words)
})

it.each([
  [11 * MINUTE, /^in 11 min$/],
  [5 * HOUR, /^at \d\d:\d\d$/],
  [3 * DAY, /^(Sat|Sun|Fri) \d\d:\d\d$/],
  [30 * DAY, /^[234] Apr, \d\d:\d\d$/],
])('says in a column of what comes in %i s: %s', (seconds, words) => {
  expect(formatNext(at(seconds), NOW)).toMatch(words)
})

it('reads the clocks of the zone, before and after they change', () => {
  vi.setSystemTime(START)
  expect(formatInZone('2026-03-05T01:15:00Z', 'Europe/Paris')).toBe('Thu 5 Mar, 02:15')
  expect(formatInZone('2026-07-05T00:15:00Z', 'Europe/Paris')).toBe('Sun 5 Jul, 02:15')
  expect(formatInZone('2026-03-04T20:30:07Z', 'Asia/Kolkata')).toBe('Thu 5 Mar, 02:00:07')
  expect(formatInZone('2027-01-01T00:00:00Z', 'UTC')).toBe('Fri 1 Jan 2027, 00:00')
  vi.useRealTimers()
})

it('names the zone, and the time of the reader where that is another', () => {
  vi.setSystemTime(START)
  const here = formatInZone(
    '2026-03-05T01:15:00Z',
    Intl.DateTimeFormat().resolvedOptions().timeZone,
  )
  const there = formatExactly('2026-03-05T01:15:00Z', 'Pacific/Kiritimati')
  expect(there).toBe(`Thu 5 Mar, 15:15 Pacific/Kiritimati; ${here} your time`)
  vi.useRealTimers()
})

it('takes UTC for a zone that the browser does not know', () => {
  vi.setSystemTime(START)
  expect(formatExactly('2026-03-05T01:15:00Z', 'Mars/Olympus')).toMatch(/^Thu 5 Mar, 01:15 UTC/)
  vi.useRealTimers()
})
