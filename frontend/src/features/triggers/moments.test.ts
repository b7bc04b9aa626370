import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  formatExactly,
  formatInZone,
  formatNext,
  formatUntil,
  OWN_ZONE,
  onClocks,
} from '@/features/triggers/moments'
import { at, START } from '@/test/factories'

const NOW = Date.parse(START)
const MINUTE = 60
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

it.each([
  [-5, 'now'],
  [0, 'now'],
  [7, 'in 7 s'],
  [11 * MINUTE + 59, 'in 11 min'],
  [HOUR, 'in 1 h'],
  [47 * HOUR, 'in 47 h'],
  [3 * DAY, 'in 3 d'],
])('says of what comes in %i s: %s', (seconds, words) => {
  expect(formatUntil(at(seconds), NOW)).toBe(words)
})

it.each([
  [-5, /^now$/],
  [7, /^in < 1 min$/],
  [11 * MINUTE, /^in 11 min$/],
  [5 * HOUR, /^at \d\d:\d\d$/],
  [3 * DAY, /^(Sat|Sun|Fri) \d\d:\d\d$/],
  [30 * DAY, /^[234] Apr, \d\d:\d\d$/],
])('says in a column of what comes in %i s: %s', (seconds, words) => {
  expect(formatNext(at(seconds), NOW)).toMatch(words)
})

const inZone = (timezone: string, seconds = false) => ({ timezone, seconds })

describe('on a day in March', () => {
  beforeEach(() => vi.setSystemTime(START))
  afterEach(() => vi.useRealTimers())

  it('reads the clocks of the zone, before and after they change', () => {
    const paris = inZone('Europe/Paris')
    expect(formatInZone('2026-03-05T01:15:00Z', paris)).toBe('Thu 5 Mar, 02:15')
    expect(formatInZone('2026-07-05T00:15:00Z', paris)).toBe('Sun 5 Jul, 02:15')
    expect(formatInZone('2027-01-01T00:00:00Z', inZone('UTC'))).toBe('Fri 1 Jan 2027, 00:00')
  })

  it('has seconds where there are some, or where they are wanted', () => {
    expect(formatInZone('2026-03-04T20:30:07Z', inZone('Asia/Kolkata'))).toBe('Thu 5 Mar, 02:00:07')
    expect(formatInZone('2026-03-05T01:15:00Z', inZone('UTC', true))).toBe('Thu 5 Mar, 01:15:00')
  })

  it('names the zone, and the time of the reader where that is another', () => {
    const here = formatInZone('2026-03-05T01:15:00Z', inZone(OWN_ZONE))
    const there = formatExactly('2026-03-05T01:15:00Z', inZone('Pacific/Kiritimati'))
    expect(there).toMatch(/^Thu 5 Mar, 15:15 Pacific\/Kiritimati; .* your time$/)
    expect(`${here} your time`).toContain(there.split('; ')[1])
    expect(formatExactly('2026-03-05T01:15:00Z', inZone(OWN_ZONE))).toBe(`${here} ${OWN_ZONE}`)
  })

  it('takes UTC for a zone that the browser does not know', () => {
    const there = formatExactly('2026-03-05T01:15:00Z', inZone('Mars/Olympus'))
    expect(there).toMatch(/^Thu 5 Mar, 01:15 UTC/)
  })
})

it.each([
  ['2026-03-05T01:15:30Z', 'Europe/Paris', '2026-03-05T02:15'],
  ['2026-03-05T23:15:00Z', 'UTC', '2026-03-05T23:15'],
  ['2026-07-05T23:00:00Z', 'Europe/Paris', '2026-07-06T01:00'],
  ['2026-03-05T13:30:00Z', 'Australia/Lord_Howe', '2026-03-06T00:30'],
])('reads %s on the clocks of %s as %s', (moment, zone, text) => {
  expect(onClocks(Date.parse(moment), zone)).toBe(text)
})
