import { cn } from '@/lib/cn'
import { TONE_TEXT, TONE_TINT, type Tone } from '@/lib/status'

/** A word on its tint. */
export function Tag({ word, tone }: { word: string; tone: Tone }) {
  return (
    <span
      className={cn(
        'rounded-sm px-2 py-0.5 text-small font-semibold whitespace-nowrap forced-border',
        TONE_TEXT[tone],
        TONE_TINT[tone],
      )}
    >
      {word}
    </span>
  )
}
