import { expect, it } from 'vitest'
import { forField, formatSpan, inOrder, standing } from '@/features/maintenance/model'
import { maintenanceWindow } from '@/test/factories'

const HOUR = 3_600_000
const NOW = new Date(2026, 10, 23, 15, 0).getTime()

const from = (begins: number, ends: number) =>
  maintenanceWindow({
    id: `${begins} ${ends}`,
    begins_at: new Date(NOW + begins * HOUR).toISOString(),
    ends_at: new Date(NOW + ends * HOUR).toISOString(),
  })

it.each([
  [-1, 1, 'running'],
  [0, 1, 'running'],
  [1, 2, 'coming'],
  [-2, 0, 'past'],
])('one from %i h to %i h is %s', (begins, ends, expected) => {
  expect(standing(from(begins, ends), NOW)).toBe(expected)
})

it('shows what runs, then what comes soonest, then what was over last', () => {
  const windows = [from(30, 31), from(-9, -8), from(-1, 5), from(2, 40), from(-90, -3), from(-2, 1)]
  expect(inOrder(windows, NOW).map(({ id }) => id)).toEqual([
    '-2 1',
    '-1 5',
    '2 40',
    '30 31',
    '-90 -3',
    '-9 -8',
  ])
})

it('names the day once, and the year where it is another', () => {
  expect(formatSpan(from(1, 2), NOW)).toBe('Mon 23 Nov, 16:00 to 17:00')
  expect(formatSpan(from(8, 10), NOW)).toBe('Mon 23 Nov, 23:00 to Tue 24 Nov, 01:00')
  expect(formatSpan(from(24 * 60, 24 * 60 + 1), NOW)).toBe('Fri 22 Jan 2027, 15:00 to 16:00')
})

it('fills a field with the local time', () => {
  expect(forField(NOW)).toBe('2026-11-23T15:00')
  expect(new Date(forField(NOW)).getTime()).toBe(NOW)
})
