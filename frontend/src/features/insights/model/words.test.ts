import { describe, expect, it } from 'vitest'
import { formatConfidence, savingInWords } from '@/features/insights/model/words'
import { diffLines } from '@/lib/diff'
import { formatChance } from '@/lib/format'
import { suggestion } from '@/test/factories'

describe('what a person reads', () => {
  it.each([
    [0, '0%'],
    [0.004, '< 1%'],
    [0.71, '71%'],
    [0.996, '> 99%'],
    [1, '100%'],
  ])('the chance %d is %s', (chance, text) => expect(formatChance(chance)).toBe(text))

  it('never calls certain what may be chance', () => {
    expect(formatConfidence(0.93)).toBe('93%')
    expect(formatConfidence(0.99999)).toBe('99.9%')
  })

  it('says what a suggestion saves, where it saves time', () => {
    expect(savingInWords(suggestion())).toBe('saves 19.0 s a run (31%)')
    expect(savingInWords(suggestion({ saving: null }))).toBeNull()
  })
})

it('reads a unified diff without its headings', () => {
  const lines = diffLines('--- a\n+++ b\n@@ -1 +1 @@\n-needs: [x]\n+needs: []\n same\n')
  expect(lines.map(({ kind }) => kind)).toEqual(['place', 'removed', 'added', 'same'])
  expect(lines.map(({ number }) => number)).toEqual([1, 2, 3, 4])
})

it('keeps a removed line that looks like a heading', () => {
  const [, , removed] = diffLines('--- a\n+++ b\n@@ -1 +0 @@\n ---\n--- x\n')
  expect(removed).toEqual({ number: 3, kind: 'removed', text: '--- x' })
})
