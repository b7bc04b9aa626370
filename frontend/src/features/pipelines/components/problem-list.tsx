import { Icon } from '@/components/icon'
import type { Problem } from '@/lib/api'
import { cn } from '@/lib/cn'
import { plural } from '@/lib/format'

type ProblemListProps = { problems: Problem[]; onGoTo?: (line: number, column: number) => void }

/** What is wrong, where, and what to do; a press leads to the place, where there is a way. */
export function ProblemList({ problems, onGoTo }: ProblemListProps) {
  return (
    <ul aria-label="Problems" className="divide-y divide-border-soft">
      {problems.map((problem) => (
        <li key={`${problem.code}:${problem.path}:${problem.line}:${problem.message}`}>
          <button
            type="button"
            disabled={problem.line == null || !onGoTo}
            onClick={() => problem.line != null && onGoTo?.(problem.line, problem.column ?? 1)}
            className="flex w-full items-start gap-2.5 px-4 py-2.5 text-left -outline-offset-2 enabled:hover:bg-muted"
          >
            <Icon
              name={problem.severity === 'error' ? 'cross' : 'warning'}
              className={cn(
                'mt-0.5',
                problem.severity === 'error' ? 'text-state-failed' : 'text-state-retrying',
              )}
            />
            <span className="min-w-0 flex-1">
              <span className="sr-only">{problem.severity}: </span>
              <span className="wrap-text">{problem.message}</span>
              {problem.suggestion && (
                <span className="wrap-text block text-small text-secondary-foreground">
                  Suggested: <span className="mono">{problem.suggestion}</span>
                </span>
              )}
            </span>
            {problem.line != null && (
              <span className="mono text-small whitespace-nowrap text-muted-foreground">
                {problem.line}:{problem.column ?? 1}
              </span>
            )}
          </button>
        </li>
      ))}
    </ul>
  )
}

/** "2 problems, 1 warning" */
export function countProblems(problems: readonly Problem[]): string {
  const errors = problems.filter(({ severity }) => severity === 'error').length
  const warnings = problems.length - errors
  return [errors > 0 && plural(errors, 'problem'), warnings > 0 && plural(warnings, 'warning')]
    .filter(Boolean)
    .join(', ')
}
