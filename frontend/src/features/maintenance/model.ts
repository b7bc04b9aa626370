import type { MaintenanceWindow } from '@/features/maintenance/api'

export type Standing = 'running' | 'coming' | 'past'

export function standing({ begins_at, ends_at }: MaintenanceWindow, now: number): Standing {
  if (Date.parse(ends_at) <= now) return 'past'
  return Date.parse(begins_at) <= now ? 'running' : 'coming'
}

const ORDER: Standing[] = ['running', 'coming', 'past']

/** What runs (the one that ends first), what comes (the soonest first), what is over (the latest first). */
export function inOrder(windows: MaintenanceWindow[], now: number): MaintenanceWindow[] {
  const rank = (window: MaintenanceWindow) => ORDER.indexOf(standing(window, now))
  const distance = (window: MaintenanceWindow) => {
    const stands = standing(window, now)
    const moment = Date.parse(stands === 'coming' ? window.begins_at : window.ends_at)
    return Math.abs(moment - now)
  }
  return windows.toSorted((a, b) => rank(a) - rank(b) || distance(a) - distance(b))
}

/** "Mon 23 Nov, 22:00 to 23:00", with the day again where it is another, and the year where it is not this one. */
export function formatSpan({ begins_at, ends_at }: MaintenanceWindow, now: number): string {
  const begin = new Date(begins_at)
  const end = new Date(ends_at)
  const until =
    begin.toDateString() === end.toDateString() ? TIME.format(end) : formatMinute(end, now)
  return `${formatMinute(begin, now)} to ${until}`
}

function formatMinute(moment: Date, now: number): string {
  const year = moment.getFullYear()
  const shownYear = year === new Date(now).getFullYear() ? '' : ` ${year}`
  return `${DAY.format(moment).replace(',', '')}${shownYear}, ${TIME.format(moment)}`
}

const TIME = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' })
const DAY = new Intl.DateTimeFormat('en-GB', { weekday: 'short', day: 'numeric', month: 'short' })

/** As a field for date and time takes it, in the reader's zone. */
export function forField(moment: number): string {
  const offset = new Date(moment).getTimezoneOffset() * 60_000
  return new Date(moment - offset).toISOString().slice(0, 16)
}
