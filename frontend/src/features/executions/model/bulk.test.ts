import { describe, expect, it } from 'vitest'
import { isPossibleFor, tell, toRequest } from '@/features/executions/model/bulk'

describe('toRequest', () => {
  it('names what was ticked', () => {
    expect(toRequest({ kind: 'ids', ids: ['e1', 'e2'] })).toEqual({ ids: ['e1', 'e2'] })
  })

  it('takes over every part of a filter', () => {
    const filter = { status: ['failed' as const], pipelineId: 'orders', text: 'disk', since: 'x' }
    expect(toRequest({ kind: 'matching', filter })).toEqual({
      status: ['failed'],
      pipeline_id: 'orders',
      q: 'disk',
      since: 'x',
    })
  })

  it('says all where nothing narrows it', () => {
    const filter = { status: undefined, pipelineId: undefined, text: undefined }
    expect(toRequest({ kind: 'matching', filter })).toEqual({ all: true })
  })
})

it('knows which states can be retried, and which cancelled', () => {
  expect(isPossibleFor('retry', { status: ['success'] })).toBe(false)
  expect(isPossibleFor('retry', { status: ['failed', 'timed_out'] })).toBe(true)
  expect(isPossibleFor('cancel', { status: ['failed', 'timed_out'] })).toBe(false)
  expect(isPossibleFor('cancel', { status: ['queued'] })).toBe(true)
  expect(isPossibleFor('cancel', {})).toBe(true)
})

describe('tell', () => {
  const item = (number: number, done: boolean) => ({
    execution_id: `e${number}`,
    pipeline_id: 'orders',
    number,
    done,
    message: done ? '1 reused, 2 run again' : 'It runs already.',
    code: done ? null : 'not_retryable',
  })

  it('says how many were done', () => {
    expect(tell('retry', [item(1, true), item(2, true)])).toEqual({
      tone: 'success',
      text: '2 executions retried.',
      links: [],
    })
    expect(tell('cancel', [item(1, true)]).text).toBe('1 execution told to stop.')
  })

  it('leads to those that were refused, to the first of many', () => {
    expect(tell('retry', [item(1, true), item(2, false)])).toEqual({
      tone: 'failed',
      text: '1 execution retried, 1 refused.',
      links: [{ label: 'orders #2: It runs already.', to: '/executions/e2' }],
    })
    const many = tell(
      'retry',
      Array.from({ length: 9 }, (_, number) => item(number, false)),
    )
    expect(many.links).toHaveLength(4)
    expect(many.text).toBe('0 executions retried, 9 refused, of which 4 are named:')
  })
})
