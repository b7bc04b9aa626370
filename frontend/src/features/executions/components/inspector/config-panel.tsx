import { CodeBlock } from '@/components/code-block'
import { JsonBlock } from '@/features/executions/components/inspector/json-block'
import { StageDetail } from '@/features/executions/components/inspector/stage-detail'
import type { Schemas } from '@/lib/api'

type ConfigPanelProps = { executionId: string; run: Schemas['StageRunBody'] }

/** The settings as the stage received them, and the SQL they were compiled to. */
export function ConfigPanel({ executionId, run }: ConfigPanelProps) {
  return (
    <StageDetail executionId={executionId} run={run}>
      {(detail) => {
        const sql = sqlOf(detail.result)
        return (
          <>
            {sql && (
              <div className="px-4 pt-4">
                <CodeBlock title="Compiled SQL" text={sql} />
              </div>
            )}
            <JsonBlock title="Config" value={detail.config} empty="This stage has no settings." />
          </>
        )
      }}
    </StageDetail>
  )
}

function sqlOf(result: unknown): string | null {
  if (typeof result !== 'object' || result === null || !('sql' in result)) return null
  return typeof result.sql === 'string' ? result.sql : null
}
