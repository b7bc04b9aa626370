import type { IconName } from '@/components/icon'
import type { Worker } from '@/features/workers/api'

type State = Worker['state']

/** Icon, word and colour of a state: never colour alone. */
export const STATES: Record<State, { icon: IconName; word: string; className: string }> = {
  working: { icon: 'tick', word: 'Takes work', className: 'text-state-success' },
  draining: { icon: 'pause', word: 'Draining', className: 'text-state-retrying' },
  drained: { icon: 'pause', word: 'Drained', className: 'text-state-retrying' },
  lost: { icon: 'cross', word: 'Lost', className: 'text-state-failed' },
}

type Load = { online: number; stopping: number; busy: number; slots: number }

/** Slots count where more work is taken; whoever is lost is not online. */
export function loadOf(workers: Worker[]): Load {
  const online = workers.filter(({ state }) => state !== 'lost')
  const working = online.filter(({ state }) => state === 'working')
  return {
    online: online.length,
    stopping: online.length - working.length,
    busy: working.reduce((sum, { running }) => sum + running, 0),
    slots: working.reduce((sum, { slots }) => sum + slots, 0),
  }
}

/** The living first, each in the order of their starts. */
export function inOrder(workers: Worker[]): Worker[] {
  return workers.toSorted(
    (one, other) =>
      Number(one.state === 'lost') - Number(other.state === 'lost') ||
      one.started_at.localeCompare(other.started_at),
  )
}

/** One mark for each slot as long as they can be told apart. */
export const MOST_MARKS = 12

/** How many of `marks` stand for what runs: none only where nothing does, all only where every slot is taken. */
export function filledMarks(running: number, slots: number, marks: number): number {
  if (slots === 0 || running === 0) return 0
  if (running >= slots) return marks
  return Math.min(marks - 1, Math.max(1, Math.round((running / slots) * marks)))
}
