/** Moments that are still to come, and moments in another time zone. */

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** "in 7 s", "in 11 min", "in 5 h", "in 3 d"; `now` is passed in so that a page agrees with itself. */
export function formatUntil(moment: string, now: number): string {
  const left = Date.parse(moment) - now
  if (left <= 0) return 'now'
  if (left < MINUTE_MS) return `in ${Math.ceil(left / 1000)} s`
  if (left < HOUR_MS) return `in ${Math.floor(left / MINUTE_MS)} min`
  if (left < 2 * DAY_MS) return `in ${Math.floor(left / HOUR_MS)} h`
  return `in ${Math.floor(left / DAY_MS)} d`
}

/**
 * For a narrow column, in the reader's zone: "in 11 min", "at 02:00", "Mon 06:00", "3 Dec, 06:00". Without seconds:
 * lists do not tick.
 */
export function formatNext(moment: string, now: number): string {
  const left = Date.parse(moment) - now
  if (left > 0 && left < MINUTE_MS) return 'in < 1 min'
  if (left < HOUR_MS) return formatUntil(moment, now)
  const date = new Date(moment)
  if (left < DAY_MS) return `at ${TIME.format(date)}`
  if (left < 6 * DAY_MS) return `${WEEKDAY.format(date)} ${TIME.format(date)}`
  return `${DATE.format(date)}, ${TIME.format(date)}`
}

const TIME = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' })
const WEEKDAY = new Intl.DateTimeFormat('en-GB', { weekday: 'short' })
const DATE = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' })

export const OWN_ZONE = new Intl.DateTimeFormat().resolvedOptions().timeZone

/** A trigger's instants are read on the clocks of its zone; those of one that comes within a minute have seconds. */
export type Reading = { timezone: string; seconds: boolean }

/** "Tue 24 Nov, 02:15", with the year when it is another. */
export function formatInZone(moment: string, reading: Reading): string {
  return `${formatDay(moment, reading.timezone)}, ${formatTime(moment, reading)}`
}

function formatDay(moment: string, timezone: string): string {
  const date = new Date(moment)
  const clocks = clocksOf(timezone)
  const year = clocks.year.format(date)
  const shownYear = year === clocks.year.format(new Date()) ? '' : ` ${year}`
  return `${clocks.date.format(date).replace(',', '')}${shownYear}`
}

function formatTime(moment: string, { timezone, seconds }: Reading): string {
  const time = clocksOf(timezone).time.format(new Date(moment))
  return seconds ? time : time.replace(/:00$/, '')
}

/** "2026-03-05T02:15": for `<input type="datetime-local">`, on the clocks of the zone. */
export function onClocks(moment: number, timezone: string): string {
  const shown = clocksOf(timezone).fields.formatToParts(new Date(moment))
  const part = (type: string) => shown.find((each) => each.type === type)?.value ?? ''
  return `${part('year')}-${part('month')}-${part('day')}T${part('hour')}:${part('minute')}`
}

/** The moment in the trigger's zone and, where the clocks differ, in the reader's. */
export function formatExactly(moment: string, reading: Reading): string {
  const there = formatInZone(moment, reading)
  const named = `${there} ${clocksOf(reading.timezone).zone}`
  const own = { ...reading, timezone: OWN_ZONE }
  const here = formatInZone(moment, own)
  if (here === there) return named
  const sameDay = formatDay(moment, OWN_ZONE) === formatDay(moment, reading.timezone)
  return `${named}; ${sameDay ? formatTime(moment, own) : here} your time`
}

type Clocks = {
  zone: string
  date: Intl.DateTimeFormat
  time: Intl.DateTimeFormat
  year: Intl.DateTimeFormat
  fields: Intl.DateTimeFormat
}

const known = new Map<string, Clocks>()

function clocksOf(zone: string): Clocks {
  const clocks = known.get(zone) ?? newClocks(zone)
  known.set(zone, clocks)
  return clocks
}

/** Of UTC for a zone that the server knows and the browser does not. */
function newClocks(zone: string): Clocks {
  const format = (options: Intl.DateTimeFormatOptions) =>
    new Intl.DateTimeFormat('en-GB', { timeZone: zone, ...options })
  try {
    return {
      zone,
      date: format({ weekday: 'short', day: 'numeric', month: 'short' }),
      time: format({ hour: '2-digit', minute: '2-digit', second: '2-digit' }),
      year: format({ year: 'numeric' }),
      fields: format({
        year: 'numeric',
        month: '2-digit',
        day: '2-digit',
        hour: '2-digit',
        minute: '2-digit',
      }),
    }
  } catch (error) {
    if (error instanceof RangeError && zone !== 'UTC') return newClocks('UTC')
    throw error
  }
}
