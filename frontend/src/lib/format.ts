const integer = new Intl.NumberFormat('en-US')

/** 8412 → "8,412" */
export function formatCount(count: number): string {
  return integer.format(count)
}

/** Seconds in the two units that matter: "0.72 s", "4.1 s", "41.3 s", "3 m 04 s", "2 h 05 m", "3 d 04 h". */
export function formatDuration(seconds: number): string {
  if (seconds < 0.0995) return `${Math.max(0, Math.round(seconds * 1000))} ms`
  if (seconds < 0.995) return `${trimZero(seconds.toFixed(2))} s`
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 3600) return twoUnits(whole, 60, 'm', 1, 's')
  if (whole < 86_400) return twoUnits(whole, 3600, 'h', 60, 'm')
  return twoUnits(whole, 86_400, 'd', 3600, 'h')
}

function trimZero(decimals: string): string {
  return decimals.replace(/(\.\d)0$/, '$1')
}

function twoUnits(
  whole: number,
  large: number,
  largeUnit: string,
  small: number,
  smallUnit: string,
) {
  const rest = Math.floor((whole % large) / small)
  return `${Math.floor(whole / large)} ${largeUnit} ${String(rest).padStart(2, '0')} ${smallUnit}`
}

/** "4 min ago"; `now` is passed in so that a page agrees with itself. */
export function formatAgo(moment: string, now: number): string {
  const seconds = Math.max(0, (now - Date.parse(moment)) / 1000)
  if (seconds < 10) return 'just now'
  if (seconds < 60) return `${Math.floor(seconds)} s ago`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`
  if (seconds < 86_400 * 14) return `${Math.floor(seconds / 86_400)} d ago`
  return formatDate(moment)
}

const clock = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
})
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' })
const dayAndYear = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  year: 'numeric',
})

/** "18:55:08", in the reader's time zone. */
export function formatClock(moment: string): string {
  return clock.format(new Date(moment))
}

/** "18:55:08.402" */
export function formatPreciseClock(moment: string): string {
  const date = new Date(moment)
  return `${clock.format(date)}.${String(date.getMilliseconds()).padStart(3, '0')}`
}

/** "22 Nov", with the year when it is another one. */
export function formatDate(moment: string): string {
  const date = new Date(moment)
  return (date.getFullYear() === new Date().getFullYear() ? day : dayAndYear).format(date)
}

/** Today the time, otherwise the date and the time. */
export function formatMoment(moment: string): string {
  const sameDay = new Date(moment).toDateString() === new Date().toDateString()
  return sameDay ? formatClock(moment) : `${formatDate(moment)}, ${formatClock(moment).slice(0, 5)}`
}

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB']

/** 512012 → "512 KB": counted in thousands, as the server's own sentences count. */
export function formatBytes(bytes: number): string {
  let size = bytes
  let unit = 0
  while (size >= 1000 && unit < UNITS.length - 1) {
    size /= 1000
    unit += 1
  }
  const digits = unit === 0 || size >= 100 ? 0 : 1
  return `${size.toFixed(digits)} ${UNITS[unit]}`
}

/** 97.23 → "97.2%", 100 → "100%" */
export function formatPercent(percent: number): string {
  return `${percent.toFixed(1).replace(/\.0$/, '')}%`
}

/** 0.71 → "71%"; what is neither impossible nor certain is not shown as if it were. */
export function formatChance(probability: number): string {
  if (probability > 0 && probability < 0.01) return '< 1%'
  if (probability < 1 && probability > 0.99) return '> 99%'
  return `${Math.round(probability * 100)}%`
}

/** "1 stage", "3 stages" */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`
}
