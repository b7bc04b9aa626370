import { type KeyboardEvent, type Ref, useImperativeHandle, useRef } from 'react'
import { lineBreakAt, offsetOf } from '@/features/pipelines/editing'
import type { Problem } from '@/lib/api'
import { cn } from '@/lib/cn'

export type SourceEditorHandle = { goTo: (line: number, column: number) => void }

type SourceEditorProps = {
  label: string
  value: string
  onChange: (value: string) => void
  problems: Problem[]
  ref?: Ref<SourceEditorHandle>
}

const LINE_HEIGHT = 20
const FEWEST_LINES = 16

/** A text area with line numbers and marks: undo, search, spelling of screen readers and phones all stay native. */
export function SourceEditor({ label, value, onChange, problems, ref }: SourceEditorProps) {
  const area = useRef<HTMLTextAreaElement>(null)
  const scroller = useRef<HTMLDivElement>(null)
  const lines = value.split('\n').length
  const severities = new Map(
    // Errors last, so that they win over warnings on the same line.
    problems
      .toSorted((a, b) => b.severity.localeCompare(a.severity))
      .map((problem) => [problem.line, problem.severity]),
  )

  useImperativeHandle(ref, () => ({
    goTo(line, column) {
      const offset = offsetOf(value, line, column)
      area.current?.focus({ preventScroll: true })
      area.current?.setSelectionRange(offset, offset)
      scroller.current?.scrollTo({ top: Math.max(0, (line - 6) * LINE_HEIGHT) })
    },
  }))

  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    if (event.key !== 'Enter' || event.ctrlKey || event.metaKey || event.nativeEvent.isComposing)
      return
    event.preventDefault()
    const { selectionStart } = event.currentTarget
    // The only way to insert text that the browser's own undo knows of.
    document.execCommand('insertText', false, lineBreakAt(value, selectionStart))
  }

  return (
    <div ref={scroller} className="max-h-[min(640px,70dvh)] overflow-y-auto">
      <div className="flex">
        <div
          aria-hidden="true"
          className="mono shrink-0 border-r border-border-soft bg-muted py-2 text-right text-small text-muted-foreground select-none"
          style={{ lineHeight: `${LINE_HEIGHT}px` }}
        >
          {Array.from({ length: lines }, (_, index) => {
            const severity = severities.get(index + 1)
            return (
              <div
                key={index}
                className={cn(
                  'min-w-[44px] px-2.5',
                  severity === 'error' && 'bg-state-failed-tint font-semibold text-state-failed',
                  severity === 'warning' &&
                    'bg-state-retrying-tint font-semibold text-state-retrying',
                )}
              >
                {index + 1}
              </div>
            )
          })}
        </div>
        <textarea
          ref={area}
          aria-label={label}
          value={value}
          onChange={(event) => onChange(event.target.value)}
          onKeyDown={onKeyDown}
          rows={Math.max(FEWEST_LINES, lines)}
          wrap="off"
          spellCheck={false}
          autoCapitalize="off"
          autoCorrect="off"
          className="mono min-w-0 flex-1 resize-none overflow-x-auto overflow-y-hidden bg-card px-3 py-2 text-small -outline-offset-2"
          style={{ lineHeight: `${LINE_HEIGHT}px` }}
        />
      </div>
    </div>
  )
}
