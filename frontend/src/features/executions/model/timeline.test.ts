import { describe, expect, it } from 'vitest'
import { buildTimeline, findCriticalPath, TimeScale } from '@/features/executions/model/timeline'
import { at, endedRun, START, stageRun } from '@/test/factories'

const start = Date.parse(START)
const now = start + 10_000

function span(from: number, to: number) {
  return { from: start + from * 1000, to: start + to * 1000 }
}

describe('buildTimeline', () => {
  it('spans what ran, whatever has not started', () => {
    const { scale, rows } = buildTimeline([endedRun('a', [0, 4]), stageRun('b')], now)
    expect(scale.seconds).toBe(4)
    expect(rows[1]).toMatchObject({ work: null, wait: null, seconds: null })
  })

  it('grows what runs up to now', () => {
    const running = stageRun('a', { status: 'running', started_at: at(0), duration_seconds: 0.2 })
    expect(buildTimeline([running], now).rows[0]).toMatchObject({ work: span(0, 10), seconds: 10 })
  })

  it('shows the wait for a slot before the work', () => {
    const waited = endedRun('a', [3, 4], { ready_at: at(1) })
    expect(buildTimeline([waited], now).rows[0]?.wait).toEqual(span(1, 3))
  })

  it('says why a stage was not run', () => {
    const skipped = stageRun('b', { status: 'skipped', reason: 'needs a, which failed' })
    expect(buildTimeline([skipped], now).rows[0]?.note).toBe('not run: needs a, which failed')
  })

  it('tells the runs of a foreach apart', () => {
    const { rows } = buildTimeline(
      [endedRun('a', [0, 1]), endedRun('a', [0, 2], { index: 1 })],
      now,
    )
    expect(rows.map(({ label }) => label)).toEqual(['a [0]', 'a [1]'])
  })
})

describe('findCriticalPath', () => {
  it('follows the need that ended last', () => {
    const stages = [
      endedRun('fast', [0, 1]),
      endedRun('slow', [0, 3]),
      endedRun('join', [3, 4], { needs: ['fast', 'slow'] }),
      stageRun('later', { needs: ['join'] }),
    ]
    expect(findCriticalPath(stages)).toEqual(['slow', 'join'])
  })

  it('ends on a cycle', () => {
    const stages = [
      endedRun('a', [0, 1], { needs: ['b'] }),
      endedRun('b', [1, 2], { needs: ['a'] }),
    ]
    expect(findCriticalPath(stages)).toHaveLength(2)
  })
})

describe('TimeScale', () => {
  it('runs from 0 to 1 over the work', () => {
    const scale = new TimeScale([span(0, 1), span(1, 4)])
    expect(scale.position(start)).toBe(0)
    expect(scale.position(start + 2000)).toBeCloseTo(0.5)
    expect(scale.position(start + 4000)).toBe(1)
    expect(scale.ticks().map(({ label }) => label)).toEqual(['0 s', '1 s', '2 s', '3 s', '4 s'])
  })

  it('cuts out the hour until somebody retried, and marks it', () => {
    const scale = new TimeScale([span(0, 4), span(3604, 3606)])
    expect(scale.seconds).toBe(6)
    expect(scale.position(start + 4000)).toBeCloseTo(4 / 6.24, 2)
    expect(scale.ticks().filter(({ pause }) => pause)).toMatchObject([{ label: '1 h 00 m later' }])
  })

  it('keeps short gaps', () => {
    expect(new TimeScale([span(0, 4), span(6, 8)]).seconds).toBe(8)
  })

  it('has a place for everything when nothing has run', () => {
    expect(new TimeScale([]).position(now)).toBe(0)
  })
})

it('shows where a success has come from, and what a handler is for', () => {
  const { rows } = buildTimeline(
    [
      stageRun('load', { status: 'success', reused_from: 'e0' }),
      stageRun('price', { status: 'success', cached_from: 'e0', reason: 'taken from #1' }),
      stageRun('tidy', { status: 'success', phase: 'finally' }),
      stageRun('undo', { phase: 'compensation' }),
    ],
    0,
  )
  expect(rows.map(({ status, note, group }) => [status, note, group])).toEqual([
    ['reused', 'reused from an earlier execution', null],
    ['cached', 'taken from #1', null],
    ['pending', null, 'Undoing what was done'],
    ['success', null, 'At the end'],
  ])
})

it('leaves handlers out of the critical path', () => {
  expect(
    findCriticalPath([
      endedRun('load', [0, 1]),
      endedRun('check', [1, 3], { needs: ['load'] }),
      endedRun('tidy', [3, 4], { phase: 'finally' }),
    ]),
  ).toEqual(['load', 'check'])
})
