/** What a cron text says, in words a person reads. */

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const WEEK = [1, 2, 3, 4, 5, 6, 0]

const ALIASES: Record<string, string> = {
  '@hourly': '0 * * * *',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@weekly': '0 0 * * 0',
  '@monthly': '0 0 1 * *',
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
}

/** More single times, days or months than these are not read as a sentence any more. */
const LISTED_AT_MOST = 4

/** "Mon to Fri at 02:15"; null for what has no plain sentence: then the text itself is shown. */
export function describeCron(cron: string): string | null {
  const fields = (ALIASES[cron] ?? cron).trim().toUpperCase().split(/\s+/)
  const [minute = '', hour = '', day = '', month = '', weekday = ''] = fields
  const minutes = valuesOf(minute, 0, 59)
  const hours = valuesOf(hour, 0, 23)
  const months = valuesOf(month, 1, 12, MONTHS)
  if (fields.length !== 5 || !minutes || !hours || !months) return null
  const time = describeTime(minutes, hours)
  const days = describeDays(day, weekday, months)
  return time && days && join(time, days)
}

type Time = { words: string; repeats: boolean }
/** `words` are null for every day; `months` are null where the words name them, or there is nothing to name. */
type Days = { words: string | null; months: string | null }

function join(time: Time, days: Days): string {
  const words = days.words ?? (time.repeats ? null : 'every day')
  const first = words === null ? time.words : `${words}${time.repeats ? ',' : ''} ${time.words}`
  return capitalised(days.months === null ? first : `${first}, ${days.months}`)
}

function describeTime(minutes: number[], hours: number[]): Time | null {
  const times = hours.flatMap((hour) => minutes.map((minute) => clock(hour, minute)))
  if (times.length <= LISTED_AT_MOST && (hours.length < 3 || evenly(hours, 24) === null)) {
    return { words: `at ${listed(times)}`, repeats: false }
  }
  const step = evenly(minutes, 60)
  const words =
    minutes.length === 1
      ? hourly(hours, minutes[0] ?? 0)
      : step !== null && minutes[0] === 0 && isRun(hours)
        ? within(hours, step === 1 ? 'every minute' : `every ${step} minutes`, 60 - step)
        : minutes.length <= LISTED_AT_MOST && hours.length === 24
          ? `every hour at ${listed(minutes.map((minute) => `:${twoDigits(minute)}`))}`
          : null
  return words === null ? null : { words, repeats: true }
}

/** Once in each of these hours. */
function hourly(hours: number[], minute: number): string | null {
  const first = clock(hours[0] ?? 0, minute)
  const at = minute === 0 ? '' : ` at :${twoDigits(minute)}`
  if (hours.length === 24) return `every hour${at}`
  const step = evenly(hours, 24)
  if (step !== null) return `every ${step} hours${first === '00:00' ? '' : ` from ${first}`}`
  return isRun(hours) ? `every hour from ${first} to ${clock(hours.at(-1) ?? 0, minute)}` : null
}

function within(hours: number[], words: string, lastMinute: number): string {
  if (hours.length === 24) return words
  return `${words} from ${clock(hours[0] ?? 0, 0)} to ${clock(hours.at(-1) ?? 0, lastMinute)}`
}

function describeDays(day: string, weekday: string, months: number[]): Days | null {
  // Where neither begins with a star, cron takes the days of either: no short sentence says that.
  if (!day.startsWith('*') && !weekday.startsWith('*')) return null
  const among = months.length === 12 ? null : describeMonths(months)
  if (among === undefined) return null
  const days = day === '*' ? 'all' : ofMonth(day)
  const weekdays = weekday === '*' ? 'all' : ofWeek(weekday)
  if (!days || !weekdays || (days !== 'all' && weekdays !== 'all')) return null
  if (days !== 'all') return { words: `${days} of ${among?.of ?? 'every month'}`, months: null }
  if (weekdays === 'all') return { words: null, months: among?.apart ?? null }
  if ('nth' in weekdays) {
    return { words: `${weekdays.nth} of ${among?.of ?? 'every month'}`, months: null }
  }
  return { words: weekdays.words, months: among?.apart ?? null }
}

/** "on the 1st and 15th" */
function ofMonth(day: string): string | null | 'all' {
  if (day === 'L') return 'on the last day'
  if (day === 'LW') return 'on the last weekday'
  const values = valuesOf(day, 1, 31)
  if (!values) return null
  if (values.length === 31) return 'all'
  if (values.length > 2 && isRun(values)) {
    return `on the ${ordinal(values[0] ?? 1)} to ${ordinal(values.at(-1) ?? 31)}`
  }
  return values.length <= LISTED_AT_MOST ? `on the ${listed(values.map(ordinal))}` : null
}

type Weekdays = { words: string } | { nth: string } | 'all' | null

/** "Mon to Fri", "every Monday"; or which one of the month. */
function ofWeek(weekday: string): Weekdays {
  const [, which, nth] = /^([0-7]|[A-Z]{3})#([1-5])$/.exec(weekday) ?? []
  const [, last] = /^([0-7])L$/.exec(weekday) ?? []
  const named = valuesOf(which ?? last ?? weekday, 0, 7, DAYS)
  if (!named) return null
  const values = [...new Set(named.map((value) => value % 7))]
  const [only = 0] = values
  if (which ?? last) {
    return { nth: `on the ${nth ? ordinal(Number(nth)) : 'last'} ${DAYS[only]}` }
  }
  if (values.length === 7) return 'all'
  if (values.length === 1) return { words: `every ${DAYS[only]}` }
  const sorted = values.map((value) => WEEK.indexOf(value)).toSorted((a, b) => a - b)
  const words = sorted.map((position) => (DAYS[WEEK[position] ?? 0] ?? '').slice(0, 3))
  return { words: runOrList(sorted, words) }
}

/** In a phrase ("of Jan and Jul") and apart from it ("in Jan and Jul"); undefined where they are too many to name. */
function describeMonths(months: number[]): { of: string; apart: string } | undefined {
  if (months.length > LISTED_AT_MOST && !isRun(months)) return undefined
  const words = runOrList(
    months,
    months.map((month) => MONTHS[month - 1] ?? ''),
  )
  return { of: words, apart: `in ${words}` }
}

/** "Mon to Fri" for three and more without a gap, "Mon, Wed and Fri" otherwise. */
function runOrList(values: number[], words: string[]): string {
  return values.length > 2 && isRun(values) ? `${words[0]} to ${words.at(-1)}` : listed(words)
}

/** The values of a field in order; null for what it cannot hold, and for what only counts from the end of a month. */
function valuesOf(field: string, from: number, to: number, names: string[] = []): number[] | null {
  const parts = field.split(',').map((part) => partOf(part, from, to, names))
  const values = new Set<number>()
  for (const part of parts) {
    if (!part) return null
    for (const value of part) values.add(value)
  }
  return [...values].toSorted((a, b) => a - b)
}

function partOf(part: string, from: number, to: number, names: string[]): number[] | null {
  const [span = '', stepText, ...more] = part.split('/')
  const step = stepText === undefined ? 1 : wholeNumber(stepText)
  if (more.length > 0 || step === null || step === 0) return null
  const ends = span === '*' ? [from, to] : span.split('-').map((end) => valueOf(end, from, names))
  const [first, end = first] = ends
  if (ends.length > 2 || first == null || end == null) return null
  // With a step one value is where it begins.
  const last = stepText !== undefined && ends.length === 1 ? to : end
  if (stepText !== undefined && first + step > last) return null
  if (first < from || last > to || last < first) return null
  return Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, at) => first + at * step)
}

function valueOf(text: string, from: number, names: string[]): number | null {
  const named = names.findIndex((name) => name.slice(0, 3).toUpperCase() === text)
  return named < 0 ? wholeNumber(text) : named + from
}

function wholeNumber(text: string): number | null {
  return /^\d{1,3}$/.test(text) ? Number(text) : null
}

/** How far apart they are, when they are so the whole round of `size`. */
function evenly(values: number[], size: number): number | null {
  const step = size / values.length
  if (values.length < 2 || !Number.isInteger(step)) return null
  const [first = 0] = values
  return values.every((value, at) => value === first + at * step) ? step : null
}

function isRun(values: number[]): boolean {
  return values.every((value, at) => value === (values[0] ?? 0) + at)
}

function clock(hour: number, minute: number): string {
  return `${twoDigits(hour)}:${twoDigits(minute)}`
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0')
}

/** 1 → "1st", 22 → "22nd" */
function ordinal(value: number): string {
  return `${value}${ENDINGS[ordinals.select(value)] ?? 'th'}`
}

const ordinals = new Intl.PluralRules('en-GB', { type: 'ordinal' })
const ENDINGS: Partial<Record<Intl.LDMLPluralRule, string>> = { one: 'st', two: 'nd', few: 'rd' }

/** "a", "a and b", "a, b and c" */
function listed(words: string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`
}

function capitalised(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1)
}
