import { expect, it } from 'vitest'
import { filledMarks, inOrder, loadOf } from '@/features/workers/model'
import { worker } from '@/test/factories'

it('counts the slots of those that take work', () => {
  expect(
    loadOf([
      worker({ running: 3, slots: 8 }),
      worker({ id: 'b', state: 'draining', running: 2, slots: 8 }),
      worker({ id: 'c', state: 'lost', running: 5, slots: 8 }),
    ]),
  ).toEqual({ online: 2, stopping: 1, busy: 3, slots: 8 })
})

it('puts the lost last', () => {
  const ids = inOrder([
    worker({ id: 'lost', state: 'lost', started_at: '2026-03-04T10:00:00Z' }),
    worker({ id: 'late', started_at: '2026-03-04T12:00:00Z' }),
    worker({ id: 'early', started_at: '2026-03-04T11:00:00Z' }),
  ]).map(({ id }) => id)
  expect(ids).toEqual(['early', 'late', 'lost'])
})

it.each([
  [0, 8, 8, 0],
  [8, 8, 8, 8],
  [9, 8, 8, 8],
  [3, 8, 8, 3],
  [1, 200, 12, 1],
  [199, 200, 12, 11],
  [100, 200, 12, 6],
  [1, 0, 1, 0],
])('%i of %i slots fill of %i marks %i', (running, slots, marks, filled) => {
  expect(filledMarks(running, slots, marks)).toBe(filled)
})
