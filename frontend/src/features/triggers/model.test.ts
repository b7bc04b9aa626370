import { describe, expect, it } from 'vitest'
import {
  applyTriggerEvents,
  describeSchedule,
  firingOf,
  isMadeUpFor,
  nextRuns,
  secondsLate,
  withFiring,
  withStatuses,
} from '@/features/triggers/model'
import { firing, liveEvent, trigger } from '@/test/factories'

describe('describeSchedule', () => {
  it.each([
    ['1s', 'Every second'],
    ['15m', 'Every 15 minutes'],
    ['1h', 'Every hour'],
    ['1h30m', 'Every 1 hour 30 minutes'],
    ['7d', 'Every 7 days'],
    ['PT15M', null],
  ])('reads every %j as %j', (every, words) => {
    expect(describeSchedule(trigger({ cron: null, every }))).toBe(words)
  })

  it('names the zone that a cron text is read in', () => {
    expect(describeSchedule(trigger())).toBe('Mon to Fri at 02:15, Europe/Paris')
    expect(describeSchedule(trigger({ cron: '*/7 * * * *' }))).toBeNull()
  })
})

describe('nextRuns', () => {
  it('takes the earliest of those that are not paused', () => {
    const paused = trigger({ id: 'paused', next_at: null, reason: 'paused by bob@example.com' })
    const later = trigger({ id: 'later', next_at: '2026-03-06T00:00:00Z' })
    const sooner = trigger({ id: 'sooner', next_at: '2026-03-05T00:00:00+00:00' })
    const found = nextRuns([paused, later, sooner, trigger({ ...paused, pipeline_id: 'other' })])
    expect(found.get('orders')).toMatchObject({ state: 'due', trigger: { id: 'sooner' } })
    expect(found.get('other')).toEqual({
      state: 'paused',
      why: 'paused: paused by bob@example.com',
    })
    expect(found.get('neither')).toBeUndefined()
  })

  it('says that all have ended, and rather that one is paused', () => {
    const ended = trigger({ next_at: null, upcoming: [], reason: 'ended at 2026-03-31' })
    const paused = trigger({ id: 'paused', next_at: null, reason: 'paused' })
    const why = 'nightly: ended at 2026-03-31'
    expect(nextRuns([ended]).get('orders')).toEqual({ state: 'ended', why })
    for (const both of [
      [ended, paused],
      [paused, ended],
    ]) {
      expect(nextRuns(both).get('orders')).toMatchObject({ state: 'paused' })
    }
  })
})

const instant = '2026-03-05T01:15:00+00:00'
const fired = liveEvent('trigger_fired', {
  at: '2026-03-05T01:15:00.1Z',
  details: { trigger: 'nightly', instant, state: 'started' },
})

describe('applyTriggerEvents', () => {
  const other = trigger({ id: 'hourly' })
  const known = [trigger(), other]

  it('moves the one that came on to its next instant', () => {
    const { triggers, stale } = applyTriggerEvents(known, [fired], 1)
    expect(triggers[0]).toMatchObject({
      next_at: '2026-03-06T01:15:00Z',
      last: { instant, state: 'started', execution_id: 'e1' },
    })
    expect(triggers[0]?.upcoming).toHaveLength(4)
    expect(triggers[1]).toBe(other)
    expect(stale).toBe(false)
  })

  it('asks anew where more instants are shown than are known', () => {
    expect(applyTriggerEvents(known, [fired], 5).stale).toBe(true)
  })

  it('asks anew how many instants were missed', () => {
    const details = { ...fired.details, state: 'missed' as const }
    expect(applyTriggerEvents(known, [{ ...fired, details }], 1).stale).toBe(true)
  })

  it('stops what somebody pauses, and asks what comes after that', () => {
    const details = { trigger: 'nightly', paused: true, by: 'bob@example.com' }
    const changed = liveEvent('trigger_changed', { execution_id: '', details })
    const paused = applyTriggerEvents(known, [changed], 5)
    expect(paused.triggers[0]).toMatchObject({
      paused_by: 'bob@example.com',
      reason: 'paused by bob@example.com',
      next_at: null,
      upcoming: [],
    })
    expect(paused.stale).toBe(false)
    const resumed = { ...changed, details: { ...details, paused: false } }
    const after = applyTriggerEvents(paused.triggers, [resumed], 5)
    expect(after.triggers[0]).toMatchObject({ paused_at: null, paused_by: null })
    expect(after.stale).toBe(true)
  })

  it('keeps what it knows where an instant of before is made up for', () => {
    const [last] = [firing({ instant: '2026-03-04T01:15:00Z' })]
    const before = [trigger({ last })]
    const details = { ...fired.details, instant: '2026-03-01T01:15:00+00:00' }
    const backfilled = { ...fired, details }
    expect(applyTriggerEvents(before, [backfilled], 5).triggers).toEqual(before)
    expect(isMadeUpFor(backfilled)).toBe(true)
    expect(isMadeUpFor(fired)).toBe(false)
  })

  it('follows the execution of the last instant', () => {
    const last = firing({ execution_status: 'running' })
    const { triggers, stale } = applyTriggerEvents(
      [trigger({ last })],
      [liveEvent('execution_completed')],
      5,
    )
    expect(triggers[0]?.last).toEqual({ ...last, execution_status: 'success' })
    expect(stale).toBe(false)
  })

  it('leaves alone what it does not hold', () => {
    const elsewhere = { ...fired, pipeline_id: 'other' }
    const untold = liveEvent('execution_started', { details: { trigger: 'nightly' } })
    expect(applyTriggerEvents(known, [elsewhere, untold], 5)).toEqual({
      triggers: known,
      stale: false,
    })
  })
})

describe('the history', () => {
  it('is told why nothing was started', () => {
    const details = { ...fired.details, state: 'refused' as const, reason: 'day is needed.' }
    expect(firingOf({ ...fired, execution_id: '', details })).toEqual({
      instant,
      state: 'refused',
      execution_id: null,
      count: 1,
      execution_number: null,
      execution_status: null,
      reason: 'day is needed.',
      at: fired.at,
    })
    expect(firingOf(liveEvent('trigger_changed', { details }))).toBeNull()
  })

  it('takes what is newer than all it holds', () => {
    const before = [firing()]
    const next = firing({ instant })
    expect(withFiring(before, next)).toEqual([next, ...before])
    expect(withFiring([next], firing({ instant: '2026-03-05T01:15:00Z' }))).toEqual([next])
    expect(withFiring([], next)).toEqual([next])
  })

  it('follows the executions that were started', () => {
    const before = [firing({ execution_id: 'e2' }), firing()]
    const [other, ended] = withStatuses(before, liveEvent('execution_cancelled'))
    expect(other).toBe(before[0])
    expect(ended?.execution_status).toBe('cancelled')
    expect(withStatuses(before, liveEvent('execution_failed', { execution_id: 'e3' }))).toBe(before)
    expect(withStatuses(before, liveEvent('stage_started'))).toBe(before)
  })

  it('says what was made up for', () => {
    expect(secondsLate(firing())).toBeNull()
    expect(secondsLate(firing({ at: '2026-03-04T03:15:00Z' }))).toBe(7200)
  })
})
